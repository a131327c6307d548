"""``oneslice segment`` on files: what it writes and what it says."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from PIL import Image

from oneslice.formats import find_scans, read_label_map, read_volume, write_label_map, write_volume
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Volume
from tests.cli.command import files, oneslice, refusal, segment
from tests.cli.conftest import LABELLED
from tests.cohort import SHORT, STRUCTURES, patient
from tests.formats.dicom_series import write_series


def test_registration_is_the_default(study):
    options = ("--support", "scans/p0.nii.gz", "--labels", "labels.seg.nrrd", "-o", "out")
    assert oneslice("segment", "scans/p1.nii.gz", *options).code == 0
    record = json.loads((study / "out" / "p1.json").read_text())
    assert record["settings"]["search"] == "register"
    assert record["seconds"]["registration"] > 0


def test_a_study_from_one_slice(study):
    done = segment("scans")
    assert done.code == 0, done
    assert files(study / "out") == sorted(
        f"p{n}.{end}" for n in range(3) for end in ("json", "nii.gz")
    )
    for number in range(3):
        found = read_label_map(study / f"out/p{number}.nii.gz")
        scan = read_volume(study / f"scans/p{number}.nii.gz")
        assert found.geometry.difference(scan.geometry) is None
        assert found.structures == STRUCTURES and (found.array == 1).any()
        assert f"p{number}.nii.gz" in done.out
    own = read_label_map(study / "out/p0.nii.gz").array
    assert np.array_equal(own[..., LABELLED], patient(0, SHORT).labels.array[..., LABELLED])
    assert "liver (ml)" in done.out and "least certain" in done.out


def test_mini_is_announced_with_the_way_to_a_stronger_one(study):
    done = segment("scans/p1.nii.gz")
    assert [line for line in done.err.splitlines() if "mini" in line and "models download" in line]
    chosen = segment("scans/p1.nii.gz", out="other", more=("--model", "mini"))
    assert "models download" not in chosen.err


def test_options_that_change_nothing_are_announced(study):
    without = segment("scans/p1.nii.gz", more=("--search", "register", "--augmentations", "4"))
    assert without.code == 0
    assert "--augmentations changes nothing without --search pool" in without.err
    done = segment("scans/p1.nii.gz", out="other", more=("--augmentations", "4", "--no-trim"))
    assert done.code == 0
    assert "--trim/--no-trim changes nothing without --search register" in done.err
    assert done.err.count("changes nothing") == 1


def test_the_record_keeps_the_options(study):
    more = ("--strategy", "sequence", "--metric", "ncc", "--seed", "5", "--augmentations", "1x")
    more += ("--window", "-20,400", "--image-size", "96", "--min-fragment", "0.2", "--memory", "64")
    more += ("--no-trim", "--no-closeup", "--every-slice")
    done = segment("scans/p1.nii.gz", more=more)
    assert done.code == 0, done
    record = json.loads((study / "out/p1.json").read_text())
    chosen = record["settings"]
    assert (chosen["strategy"], chosen["metric"], chosen["seed"]) == ("sequence", "ncc", 5)
    assert (chosen["augmentations"], chosen["min_fragment"]) == ("1x", 0.2)
    assert chosen["trim"] is False and chosen["closeup"] is False
    assert chosen["every_slice"] is True
    assert record["window"] == chosen["window"] == [-20, 400] and record["image_size"] == 96
    assert record["scan"].endswith("p1.nii.gz") and record["checkpoint"]["name"] == "mini"


def test_slices_of_a_corrected_result(study):
    """What is wrong on its other slices does not matter."""
    corrected = patient(0, SHORT).labels
    wrong = np.roll(corrected.array, 9, axis=0)
    wrong[..., LABELLED] = corrected.array[..., LABELLED]
    labels = LabelMap(wrong, corrected.geometry, STRUCTURES)
    write_label_map(labels, study / "corrected.seg.nrrd")
    more = ("--slices", str(LABELLED))
    assert segment("scans/p1.nii.gz", labels="corrected.seg.nrrd", more=more).code == 0
    assert segment("scans/p1.nii.gz", out="other").code == 0
    found = [read_label_map(study / folder / "p1.nii.gz").array for folder in ("out", "other")]
    assert found[0].any() and np.array_equal(*found)


def test_json_is_all_there_is_on_stdout(study):
    (study / "scans/broken.nii.gz").write_bytes(b"nothing")
    done = segment("scans", more=("--json",))
    assert done.code == 1
    entries = {entry["scan"]: entry for entry in json.loads(done.out)}
    assert list(entries) == [f"scans/{n}.nii.gz" for n in ("broken", "p0", "p1", "p2")]
    bad, good = entries["scans/broken.nii.gz"], entries["scans/p1.nii.gz"]
    assert bad["output"] is None and "NIfTI" in bad["error"] and bad["millilitres"] == {}
    assert good["error"] is None and good["output"] == "out/p1.nii.gz" and good["seconds"] > 0
    labels = read_label_map(study / "out/p1.nii.gz").array
    liver = (labels == 1).sum() * 3 * 3 * 8 / 1000
    assert good["millilitres"]["liver"] == pytest.approx(liver, rel=5e-4)  # four digits
    assert set(good["millilitres"]) == {"liver", "spleen", "kidney"}
    worst = good["least_certain"][0]
    slices = json.loads((study / "out/p1.json").read_text())["slices"]
    told = {s["name"]: s["confidence"] for s in slices[worst["slice"]]["structures"]}
    assert worst["confidence"] == told[worst["structure"]]


def test_a_batch_goes_on_where_it_stopped(study):
    assert segment("scans/p1.nii.gz").code == 0
    before = (study / "out/p1.json").read_bytes()
    done = segment("scans", more=("--skip-existing",))
    assert done.code == 0 and "1 of 3 scans are done already" in done.err
    assert len(files(study / "out")) == 6 and (study / "out/p1.json").read_bytes() == before
    assert [line for line in done.err.splitlines() if line.startswith("2 of 2: scans/p2.nii.gz")]
    again = segment("scans", more=("--skip-existing", "--json"))
    assert again.code == 0 and json.loads(again.out) == []


def test_results_made_otherwise_are_told_and_made_again_if_asked(study):
    assert segment("scans/p1.nii.gz").code == 0 and segment("scans/p2.nii.gz").code == 0
    before = (study / "out/p1.nii.gz").stat().st_mtime_ns
    other = ("--skip-existing", "--names", "liver=1,spleen=2,left kidney=3", "--seed", "5")
    told = segment("scans", labels="labels.nii.gz", more=other)
    assert told.code == 0 and "2 of 3 scans are done already" in told.err
    assert "2 of these were made otherwise (out/p1.nii.gz: other labels, options)" in told.err
    assert (study / "out/p1.nii.gz").stat().st_mtime_ns == before
    again = segment("scans", labels="labels.nii.gz", more=(*other, "--overwrite"))
    assert again.code == 0 and "1 of 3 scans are done already" in again.err
    assert "made otherwise" not in again.err
    assert read_label_map(study / "out/p1.nii.gz").structures[2].name == "left kidney"


def test_the_result_of_another_scan_of_that_name_is_not_taken_for_done(study):
    for case, scan in (("c1", "p1"), ("c2", "p2")):
        (study / case).mkdir()
        shutil.copy(study / f"scans/{scan}.nii.gz", study / case / "image.nii.gz")
    assert segment("c1/image.nii.gz").code == 0
    before = (study / "out/image.nii.gz").read_bytes()
    other = segment("c2/image.nii.gz", more=("--skip-existing",))
    assert other.code == 2 and "c1/image.nii.gz; choose another folder" in other.err
    assert (study / "out/image.nii.gz").read_bytes() == before
    (study / "linked").symlink_to(study / "c1")
    (study / "elsewhere").mkdir()
    for same in (study / "c1/image.nii.gz", "linked/image.nii.gz", "elsewhere/c1/image.nii.gz"):
        if str(same).startswith("elsewhere"):
            (study / "c1").rename(study / "elsewhere/c1")
        again = segment(str(same), more=("--skip-existing",))
        assert again.code == 0 and "1 of 1 scans are done already" in again.err


def test_a_name_that_is_too_long_is_the_failure_of_its_scan_alone(study):
    """What is left out of a name may be added by the format."""
    scan = read_volume(study / "scans/p1.nii.gz")
    write_volume(scan, study / f"scans/{'p' * 250}.mha")
    format = ("--format", "seg.nrrd")
    assert segment("scans", more=format).code == 1 and len(files(study / "out")) == 6
    again = segment("scans", more=(*format, "--skip-existing"))
    assert "3 of 4 scans are done already" in again.err and "File name too long" in again.err


def test_a_warning_is_one_line(study):
    stored = nibabel.load(study / "scans/p1.nii.gz")
    image = nibabel.Nifti1Image(np.asarray(stored.dataobj), None, stored.header)
    image.header["qoffset_x"] += 3
    nibabel.save(image, study / "scans/p1.nii.gz")
    done = segment("scans/p1.nii.gz")
    (line,) = (line for line in done.err.splitlines() if "sform" in line)
    assert done.code == 0 and line.startswith("oneslice: scans/p1.nii.gz: its sform and its qform")


def test_a_result_that_is_there_says_how_to_go_on(study):
    assert segment("scans/p1.nii.gz").code == 0
    assert "--skip-existing to keep it" in segment("scans/p1.nii.gz").err
    (study / "out/p1.json").unlink()
    left = segment("scans/p1.nii.gz", more=("--skip-existing",))
    assert left.code == 2 and "without what belongs to it; move it away" in left.err


@pytest.mark.parametrize("option", ["-o", "--support", "--labels"])
def test_an_empty_path_is_not_this_folder(study, option):
    options = {"--support": "scans/p0.nii.gz", "--labels": "labels.seg.nrrd", "-o": "out"}
    given = [word for pair in (options | {option: ""}).items() for word in pair]
    done = oneslice("segment", "scans/p1.nii.gz", *given)
    assert done.code == 2 and "is empty" in done.err


def test_names_are_printed_as_they_are(study):
    (study / "scans/p1.nii.gz").rename(study / "scans/p [a].nii.gz")
    names = "kidney [/left]=1,b [bold]=2,c=3"
    done = segment("scans/p [[]a].nii.gz", labels="labels.nii.gz", more=("--names", names))
    assert done.code == 0, done
    assert all(
        text in done.out for text in ("kidney [/left] (ml)", "b [bold] (ml)", "p [a].nii.gz")
    )


def test_the_others_are_done_when_one_fails(study):
    (study / "scans/p1.nii.gz").write_bytes((study / "scans/p1.nii.gz").read_bytes()[:5000])
    (study / "out").mkdir()
    (study / "out/p2.nii.gz").write_text("mine")
    done = segment("scans")
    assert done.code == 1
    assert files(study / "out") == ["p0.json", "p0.nii.gz", "p2.nii.gz"]
    assert (study / "out/p2.nii.gz").read_text() == "mine"
    lines = [line for line in done.err.splitlines() if line.startswith("oneslice: ")]
    assert "p1.nii.gz" in lines[0] and "cut short" in lines[0]
    assert "exists already" in lines[1] and lines[2] == "oneslice: 2 of 3 scans failed"
    again = segment("scans/p2.nii.gz", more=("--overwrite",))
    assert again.code == 0 and read_label_map(study / "out/p2.nii.gz").array.any()


def test_the_label_file_among_the_scans_is_no_scan(study):
    shutil.copy(study / "labels.nii.gz", study / "scans/labels.nii.gz")
    done = segment("scans/*.nii.gz", labels="scans/labels.nii.gz")
    assert done.code == 0
    assert "labels.nii.gz" not in files(study / "out") and len(files(study / "out")) == 6
    refusal(
        segment("scans/labels.nii.gz", labels="scans/labels.nii.gz", out="elsewhere"),
        study / "elsewhere",
        "no scan to segment",
    )


def test_scans_of_one_name_keep_their_folders(study):
    for number in (1, 2):
        (study / f"cohort/{number}").mkdir(parents=True)
        shutil.copy(study / f"scans/p{number}.nii.gz", study / f"cohort/{number}/t2.nii.gz")
    assert segment("cohort").code == 0
    assert files(study / "out") == ["1/t2.json", "1/t2.nii.gz", "2/t2.json", "2/t2.nii.gz"]
    one, two = (read_label_map(study / f"out/{n}/t2.nii.gz").array for n in (1, 2))
    assert not np.array_equal(one, two)


def test_a_scan_named_twice_is_segmented_once(study):
    assert segment("scans/p1.nii.gz", study / "scans/p1.nii.gz", "scans/../scans/p1*").code == 0
    assert files(study / "out") == ["p1.json", "p1.nii.gz"]


def test_scans_that_cannot_be_told_apart(study):
    (study / "pair").mkdir()
    shutil.copy(study / "scans/p1.nii.gz", study / "pair/a.nii.gz")
    write_volume(patient(2, SHORT).image, study / "pair/a.mha")
    refusal(segment("pair"), study, "pair/a.mha and pair/a.nii.gz would both be written to out/a.")


@pytest.mark.parametrize("suffix", ["nrrd", "seg.nrrd", "mha", "nii.gz"])
def test_formats(study, suffix):
    form = "nifti" if suffix == "nii.gz" else suffix
    assert segment("scans/p1.nii.gz", more=("--format", form)).code == 0
    found = read_label_map(study / f"out/p1.{suffix}")
    scan = read_volume(study / "scans/p1.nii.gz")
    assert found.geometry.difference(scan.geometry) is None and found.structures == STRUCTURES
    if suffix == "seg.nrrd":
        (study / "out/p1.json").unlink()
        assert read_label_map(study / "out/p1.seg.nrrd").structures == STRUCTURES


def test_brackets_in_a_name_are_shown(study):
    scan = shutil.copy(study / "scans/p1.nii.gz", study / "p[bold][b].nii.gz")
    done = segment(scan, out="[red]")
    assert done.code == 0 and "p[bold][b].nii.gz" in done.out and "written to [red]" in done.out


def test_one_scan_to_one_file(study):
    assert segment("scans/p1.nii.gz", out="made/mine.seg.nrrd").code == 0
    assert files(study / "made") == ["mine.json", "mine.seg.nrrd"]


def test_a_scan_keeps_its_own_format(study):
    write_volume(patient(1, SHORT).image, study / "one.mha")
    assert segment("one.mha").code == 0
    assert files(study / "out") == ["one.json", "one.mha"]


def test_names_from_the_command_line(study):
    done = segment("scans/p1.nii.gz", labels="labels.nii.gz", more=("--names", "a=1,b=2, c = 3"))
    assert done.code == 0, done
    assert [s.name for s in read_label_map(study / "out/p1.nii.gz").structures] == ["a", "b", "c"]


def test_several_supports(study):
    second = patient(1, SHORT).labelled([LABELLED]).labels
    write_label_map(second, study / "second.seg.nrrd")
    more = ("--support", "scans/p1.nii.gz", "--labels", "second.seg.nrrd")
    assert segment("scans", more=more).code == 0
    for number in (0, 1):
        found = read_label_map(study / f"out/p{number}.nii.gz").array[..., LABELLED]
        assert np.array_equal(found, patient(number, SHORT).labels.array[..., LABELLED])


def test_a_picture_is_one_slice(study):
    array = patient(1, SHORT).image.array[..., 1].T
    Image.fromarray(np.clip(array, 0, 255).astype(np.uint8)).save(study / "slice.png")
    assert segment("slice.png").code == 0
    found = read_label_map(study / "out/slice.nii.gz").array
    assert found.shape == (88, 80, 1) and (found == 1).any()


def test_a_dicom_series(study):
    scan = patient(1, SHORT).image
    array = np.clip(scan.array, 0, 300).astype(np.int16)
    write_series(study / "dicom/patient", array, scan.geometry)
    done = segment("dicom")
    assert done.code == 0, done
    found = read_label_map(study / "out/patient.nii.gz")
    read = read_volume(study / "dicom/patient")
    assert found.geometry.difference(read.geometry) is None and (found.array == 1).any()


def test_a_series_of_folders_with_two(study):
    grid = patient(0, SHORT).image.geometry
    for folder, series, number in (
        ("a", "1.5", 0),
        ("a", "1.7", 1),
        ("b", "2.5", 2),
        ("b", "2", 1),
    ):
        array = np.clip(patient(number, SHORT).image.array, 0, 300).astype(np.int16)
        name = f"T{number % 2 + 1} {series}"
        write_series(study / "dicom" / folder, array, grid, series=series, description=name)
    refusal(segment("dicom/a", support="dicom/a"), study, "choose with --series")
    for chosen in ("1.5", "t1*"):
        more = ("--series", chosen, "--overwrite")
        done = segment("dicom/a", support="dicom/a", more=more)
        assert done.code == 0, done
        found = read_label_map(study / "out/a.nii.gz").array[..., LABELLED]
        assert np.array_equal(found, patient(0, SHORT).labels.array[..., LABELLED])
    done = segment("dicom", support="dicom/a", out="all", more=("--series", "t1*"))
    assert done.code == 0 and files(study / "all") == ["a.json", "a.nii.gz", "b.json", "b.nii.gz"]


def test_a_frame_of_a_4d_scan(study):
    images = [patient(n, SHORT).image for n in (0, 1)]
    array = np.stack([image.array for image in images], -1)
    affine = np.diag([-1, -1, 1, 1]) @ images[0].geometry.affine
    nibabel.save(nibabel.Nifti1Image(array, affine), study / "film.nii.gz")
    labels = "labels.seg.nrrd"
    refusal(segment("film.nii.gz", labels=labels), study, "--frame 0 to --frame 1")
    more = ("--frame", "0")
    assert segment("film.nii.gz", support="film.nii.gz", labels=labels, more=more).code == 0
    found = read_label_map(study / "out/film.nii.gz").array[..., LABELLED]
    assert np.array_equal(found, patient(0, SHORT).labels.array[..., LABELLED])


def test_an_axis_of_one_s_own(study):
    labels = np.zeros(SHORT, np.uint8)
    labels[40] = patient(0, SHORT).labels.array[40]
    grid = patient(0, SHORT).image.geometry
    write_label_map(LabelMap(labels, grid, STRUCTURES), study / "sagittal.seg.nrrd")
    done = segment("scans/p0.nii.gz", labels="sagittal.seg.nrrd", more=("--axis", "0"))
    assert done.code == 0
    assert json.loads((study / "out/p0.json").read_text())["slice_axis"] == 0
    assert np.array_equal(read_label_map(study / "out/p0.nii.gz").array[40], labels[40])


def test_the_modality_scales_scans_and_supports(study):
    assert segment("scans/p1.nii.gz", more=("--modality", "ct")).code == 0
    assert json.loads((study / "out/p1.json").read_text())["window"] == [-160, 240]


def test_the_space_of_a_registered_scan(study):
    image = nibabel.load(study / "scans/p1.nii.gz")
    image.set_sform(image.affine, "mni")
    nibabel.save(image, study / "mni.nii.gz")
    assert segment("mni.nii.gz").code == 0
    assert nibabel.load(study / "out/mni.nii.gz").header["sform_code"] == 4


def test_the_geometry_of_a_turned_scan(study):
    scan = patient(1, SHORT).image
    affine = scan.geometry.affine @ np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = scan.geometry.to_world([SHORT[0] - 1, 0, 0])
    turned = Volume(scan.array[::-1], Geometry(SHORT, affine))
    write_volume(turned, study / "turned.nii.gz")
    assert segment("scans/p1.nii.gz", "turned.nii.gz").code == 0
    plain, back = (read_label_map(study / f"out/{name}.nii.gz").array for name in ("p1", "turned"))
    assert np.array_equal(plain, back[::-1])


def test_results_of_dicom_scans_as_dicom(study):
    """What is no DICOM scan fails before it is segmented; the other is done, and taken for done."""
    scan = patient(1, SHORT).image
    write_series(study / "scans/d1", scan.array.astype(np.int16), scan.geometry, modality="MR")
    more = ("--format", "seg.dcm")
    done = segment("scans/d1", "scans/p1.nii.gz", more=more)
    assert done.code == 1 and "p1: is no DICOM scan, so its labels cannot be a DICOM" in done.err
    assert files(study / "out") == ["d1.json", "d1.seg.dcm"]
    assert segment("scans/d1", out="nifti").code == 0
    same = oneslice("evaluate", "out/d1.seg.dcm", "nifti/d1.nii.gz", "--json")
    rows = json.loads(same.out)
    assert {row["structure"] for row in rows} == {structure.name for structure in STRUCTURES}
    assert {row["dice"] for row in rows if row["presence"] != "absent"} == {1}
    again = segment("scans/d1", more=(*more, "--skip-existing"))
    assert again.code == 0 and "1 of 1 scans are done already" in again.err
    shutil.copytree(study / "out", study / "scans", dirs_exist_ok=True)
    assert len(find_scans(["scans"])) == 4  # a segmentation is no scan
