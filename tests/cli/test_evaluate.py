import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from oneslice.cli import app
from oneslice.errors import InputError
from oneslice.formats import read_label_map, read_volume, write_label_map
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure
from tests.cli.command import oneslice
from tests.evaluation.cohort import make_scan, write_nifti
from tests.formats.dicom_series import write_series
from tests.formats.grids import ramp


def run(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folders(tmp_path):
    for seed, name in enumerate(["a", "b"]):
        labels = make_scan(seed)[1]
        write_nifti(tmp_path / "ref" / f"{name}.nii.gz", labels)
        found = labels.copy()
        if name == "b":
            found[found == 2] = 0  # missed
            found[0, 0, 0] = 3  # spurious
        write_nifti(tmp_path / "pred" / f"{name}.nii.gz", found)
    return tmp_path / "pred", tmp_path / "ref"


def test_folders(folders, tmp_path):
    result = run(*folders, "--csv", tmp_path / "out.csv")
    assert "Means over cases" in result.output and "Absent from both" in result.output
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    by_key = {(row["case"], row["value"]): row for row in rows}
    assert float(by_key["a", "1"]["dice"]) == 1
    assert by_key["b", "2"]["presence"] == "missed" and by_key["b", "2"]["hd95"] == ""
    assert float(by_key["b", "2"]["volume_difference_percent"]) == pytest.approx(-100)
    assert by_key["b", "3"]["presence"] == "spurious"
    assert ("a", "3") not in by_key


def test_json_of_two_files(folders):
    predictions, references = folders
    found = json.loads(run(predictions / "b.nii.gz", references / "b.nii.gz", "--json").output)
    assert [row["presence"] for row in found] == ["both", "missed", "spurious"]
    assert found[0]["structure"] == "label 1"
    assert found[0]["reference_ml"] == pytest.approx(found[0]["volume_ml"])


def test_tolerance_is_in_millimetres(folders, tmp_path):
    _, references = folders
    shifted = np.roll(make_scan(0)[1], 2, axis=0)  # 3 mm
    write_nifti(tmp_path / "shifted.nii.gz", shifted)
    near, far = (
        json.loads(run(tmp_path / "shifted.nii.gz", references / "a.nii.gz", "--json", *t).output)
        for t in (["--tolerance", "1"], ["--tolerance", "4"])
    )
    assert near[1]["nsd"] < 0.8 and far[1]["nsd"] == pytest.approx(1)


@pytest.mark.parametrize("tolerance", ["0", "inf", "nan"])
def test_a_tolerance_that_is_none_is_refused(folders, tolerance):
    with pytest.raises(InputError, match=f"positive and finite, not {tolerance} mm"):
        run(*folders, "--tolerance", tolerance)


def write_named(path, values, names):
    """The labels 1 and 2 of a scan stored as these values, with names by value."""
    plain = write_nifti(path.with_name("plain.nii.gz"), np.take([0, *values], make_scan(0)[1]))
    labels = read_label_map(plain)
    structures = tuple(Structure(value, name, (9, 9, 9)) for value, name in names.items())
    return write_label_map(LabelMap(labels.array, labels.geometry, structures), path)


@pytest.mark.parametrize(
    ("values", "names", "clash"),
    [
        ((2, 1), {1: "spleen", 2: "liver"}, "label 1 is 'liver', .* label 1 is 'spleen'"),
        ((2, 3), {2: "liver", 3: "kidney"}, "label 1 is 'liver', .* label 2 is 'liver'"),
    ],
)
def test_names_that_contradict_each_other_are_refused(tmp_path, values, names, clash):
    prediction = write_named(tmp_path / "pred.seg.nrrd", (1, 2), {1: "liver", 2: "spleen"})
    reference = write_named(tmp_path / "ref.seg.nrrd", values, names)
    with pytest.raises(InputError, match=f"{clash}.*one value and one name") as refused:
        run(prediction, reference)
    assert "pred.seg.nrrd" in str(refused.value) and "ref.seg.nrrd" in str(refused.value)


@pytest.mark.parametrize(
    "names", [{1: "Liver", 2: "lesion"}, {1: "liver"}, {2: "lesion", 5: "kidney"}, {}]
)
def test_names_that_agree_or_are_not_given_are_compared(tmp_path, names):
    given = {1: "liver", 2: "lesion", 3: "lesion"}
    prediction = write_named(tmp_path / "pred.seg.nrrd", (1, 2), given)
    same = write_named(tmp_path / "same.seg.nrrd", (1, 2), given)
    reference = write_named(tmp_path / "ref.seg.nrrd", (1, 2), names)
    assert "Dice" in run(prediction, same).output
    found = json.loads(run(prediction, reference, "--json").output)
    assert [row["dice"] for row in found if row["value"] < 3] == [1, 1]


def test_means_are_over_cases_that_name_a_structure_alike_or_not_at_all(tmp_path):
    names = {"a": {1: "Liver"}, "b": {1: "liver"}, "c": {}, "d": {2: "left"}, "e": {2: "right"}}
    for case, given in names.items():
        for folder in ("pred", "ref"):
            write_named(tmp_path / folder / f"{case}.seg.nrrd", (1, 2), given)
    means = run(tmp_path / "pred", tmp_path / "ref").output.partition("Means over cases")[2]
    lines = [line.split() for line in means.splitlines() if line.strip()]
    counted = {" ".join(line[:-8]): int(line[-8]) for line in lines if line[-1] == "0"}
    # plain.nii.gz, of which the others are made, is one more case
    assert counted == {"Liver": 6, "left": 1, "right": 1, "label 2": 4}


def test_a_prediction_without_reference_is_said(folders):
    predictions, references = folders
    (references / "a.nii.gz").unlink()
    assert "not compared: a" in run(predictions, references).output


def test_a_reference_without_prediction_is_a_pair_that_failed(folders):
    predictions, references = folders
    (predictions / "b.nii.gz").unlink()
    done = run(predictions, references, "--json")
    assert done.exit_code == 1
    assert {row["case"] for row in json.loads(done.stdout)} == {"a"}
    assert done.stderr.splitlines() == [
        "oneslice: b: there is no prediction of that name",
        "oneslice: 1 of 2 pairs failed",
    ]
    (predictions / "a.nii.gz").rename(predictions / "c.nii.gz")
    with pytest.raises(InputError, match=r"no prediction for any of 2 references \(a, b\)"):
        run(predictions, references)


def test_two_files_of_one_name_are_refused(folders):
    predictions, references = folders
    write_label_map(read_label_map(references / "a.nii.gz"), references / "a.seg.nrrd")
    with pytest.raises(InputError, match=r"ref/a.nii.gz and a.seg.nrrd differ in suffix only"):
        run(predictions, references)
    with pytest.raises(InputError, match=r"ref/a.nii.gz and a.seg.nrrd"):
        run(references, predictions)
    (predictions / "a.nii.gz").unlink()  # not compared, so it does not matter which
    assert "not compared: a" in run(references, predictions).output


def test_a_table_that_is_there_is_refused_before_anything_is_measured(folders, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    (folders[0] / "a.nii.gz").write_bytes(b"nothing")  # would be told first
    with pytest.raises(InputError, match=r"out\.csv: exists already; add --overwrite"):
        run(*folders, "--csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_wrong_grids_are_refused(folders):
    predictions, references = folders
    write_nifti(predictions / "a.nii.gz", make_scan(0)[1], spacing=(1.0, 1.5, 5.0))
    with pytest.raises(InputError, match="not on the grid"):
        run(predictions / "a.nii.gz", references / "a.nii.gz")


@pytest.mark.parametrize("cut", [0, 1])
def test_labels_stored_as_a_part_of_the_grid_are_measured_on_the_whole(folders, cut):
    predictions, references = folders
    pair = predictions / "b.nii.gz", references / "b.nii.gz"
    before = run(*pair).output
    whole = read_label_map(pair[cut])
    shown = np.flatnonzero(whole.array.any((0, 1)))
    box = (slice(None), slice(None), slice(shown[0], shown[-1] + 1))
    part = LabelMap(whole.array[box], whole.geometry.part(box), whole.structures)
    assert part.array.shape != whole.array.shape
    write_label_map(part, pair[cut], overwrite=True)
    assert run(*pair).output == before


def test_dicom_segmentations_lack_the_slices_they_show_nothing_on(tmp_path):
    grid = Geometry.from_parts((9, 8, 12), (1.5, 1.5, 4.0))
    write_series(tmp_path / "scan", ramp(grid.shape), grid)
    scan = read_volume(tmp_path / "scan")
    found, truth = np.zeros((2, *grid.shape), np.uint8)
    found[2:6, 3:6, 1:4], truth[2:6, 3:7, 3:9] = 1, 1
    for suffix in ("seg.dcm", "nii.gz"):
        for folder, array in (("pred", found), ("ref", truth)):
            labels = LabelMap(array, scan.geometry, series=scan.series)
            write_label_map(labels, tmp_path / suffix / folder / f"a.{suffix}")
    outputs = [
        run(tmp_path / suffix / "pred", tmp_path / suffix / "ref", "--json").output
        for suffix in ("seg.dcm", "nii.gz")
    ]
    assert outputs[0] == outputs[1]
    assert 0 < json.loads(outputs[0])[0]["dice"] < 1


def test_dicom_segmentations_of_other_grids_are_refused(tmp_path):
    for n, size in enumerate((1.5, 1.7)):
        grid = Geometry.from_parts((9, 8, 12), (size, size, 4.0))
        write_series(tmp_path / f"scan{n}", ramp(grid.shape), grid)
        scan = read_volume(tmp_path / f"scan{n}")
        labels = LabelMap((ramp(grid.shape) > 800).astype(np.uint8), scan.geometry)
        write_label_map(replace(labels, series=scan.series), tmp_path / f"{n}.seg.dcm")
    with pytest.raises(InputError, match="not on the grid"):
        run(tmp_path / "0.seg.dcm", tmp_path / "1.seg.dcm")


def test_the_other_pairs_are_measured_when_one_fails(folders, tmp_path):
    predictions, references = folders
    (predictions / "a.nii.gz").write_bytes(b"nothing")
    done = run(predictions, references, "--json", "--csv", tmp_path / "out.csv")
    assert done.exit_code == 1
    assert {row["case"] for row in json.loads(done.stdout)} == {"b"}
    assert len(list(csv.DictReader((tmp_path / "out.csv").open()))) == 3
    first, last = done.stderr.splitlines()
    assert first.startswith("oneslice: a: ") and first.endswith("a.nii.gz: is not a NIfTI image")
    assert last == "oneslice: 1 of 2 pairs failed"
    (predictions / "b.nii.gz").write_bytes(b"nothing")
    done = run(predictions, references, "--json")
    assert done.exit_code == 1 and json.loads(done.stdout) == []


def test_a_pair_that_is_the_only_one_and_fails_is_an_error(folders):
    predictions, references = folders
    (predictions / "a.nii.gz").write_bytes(b"nothing")
    done = oneslice("evaluate", predictions / "a.nii.gz", references / "a.nii.gz", "--json")
    assert done.code == 2 and done.out == ""
    assert done.err == f"oneslice: {predictions}/a.nii.gz: is not a NIfTI image\n"


def test_other_bad_input(folders, tmp_path):
    predictions, references = folders
    with pytest.raises(InputError, match="no such file"):
        run(predictions, tmp_path / "nowhere")
    with pytest.raises(InputError, match="not one of each"):
        run(predictions / "a.nii.gz", references)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no label maps"):
        run(tmp_path / "empty", references)
    run(predictions, references, "--csv", tmp_path / "out.csv")
    with pytest.raises(InputError, match="exists already"):
        run(predictions, references, "--csv", tmp_path / "out.csv")
