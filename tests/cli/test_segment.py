"""``oneslice segment`` on files: what it writes, what it says, and what it refuses."""

import json
import os
import shutil

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from oneslice.formats import read_label_map, read_volume, write_label_map, write_volume
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Volume
from tests.cli.command import oneslice
from tests.cohort import SHORT, STRUCTURES, patient
from tests.formats.dicom_series import write_series

LABELLED = 2


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ONESLICE_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Three patients, and the labels of one slice of the first with and without names."""
    folder = tmp_path_factory.mktemp("study")
    for number in range(3):
        write_volume(patient(number, SHORT).image, folder / f"scans/p{number}.nii.gz")
    labels = patient(0, SHORT).labelled([LABELLED]).labels
    write_label_map(labels, folder / "labels.seg.nrrd")
    write_label_map(labels, folder / "labels.nii.gz")
    return folder


@pytest.fixture
def study(written, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


def segment(*scans, support="scans/p0.nii.gz", labels="labels.seg.nrrd", out="out", more=()):
    quick = () if "--search" in more else ("--search", "pool")
    quick += () if "--augmentations" in more else ("--augmentations", "2")
    options = ("--support", support, "--labels", labels, "-o", out, "--device", "cpu", *quick)
    return oneslice("segment", *scans, *options, *more)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def refusal(done, study, *parts):
    """The one line on stderr of a command that wrote and printed nothing."""
    assert done.code == 2, done
    assert done.out == "" and not (study / "out").exists()
    *notice, line = done.err.strip().splitlines()
    assert line.startswith("oneslice: ") and "Traceback" not in done.err
    assert not any(other.startswith("oneslice:") for other in notice)
    for part in parts:
        assert part in line
    return line


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
    assert "liver (ml)" in done.out


def test_mini_is_announced_with_the_way_to_a_stronger_one(study):
    done = segment("scans/p1.nii.gz")
    assert [line for line in done.err.splitlines() if "mini" in line and "models download" in line]
    chosen = segment("scans/p1.nii.gz", out="other", more=("--model", "mini"))
    assert "models download" not in chosen.err


def test_the_record_keeps_the_options(study):
    more = ("--strategy", "sequence", "--metric", "ncc", "--seed", "5", "--augmentations", "1x")
    more += ("--window", "-20,400", "--image-size", "96", "--min-fragment", "0.2", "--memory", "64")
    more += ("--no-trim", "--no-closeup")
    done = segment("scans/p1.nii.gz", more=more)
    assert done.code == 0, done
    record = json.loads((study / "out/p1.json").read_text())
    chosen = record["settings"]
    assert (chosen["strategy"], chosen["metric"], chosen["seed"]) == ("sequence", "ncc", 5)
    assert (chosen["augmentations"], chosen["min_fragment"]) == ("1x", 0.2)
    assert chosen["trim"] is False and chosen["closeup"] is False
    assert record["window"] == chosen["window"] == [-20, 400] and record["image_size"] == 96
    assert record["scan"].endswith("p1.nii.gz") and record["checkpoint"]["name"] == "mini"


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
    assert good["millilitres"]["liver"] == pytest.approx(liver, abs=0.01)
    assert set(good["millilitres"]) == {"liver", "spleen", "kidney"}


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


def test_scans_that_cannot_be_told_apart(study):
    (study / "pair").mkdir()
    shutil.copy(study / "scans/p1.nii.gz", study / "pair/a.nii.gz")
    write_volume(patient(2, SHORT).image, study / "pair/a.mha")
    refusal(segment("pair"), study, "two scans would both be written to out/a.")


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


def bad_scan(study, kind):
    path, image = study / "bad.nii.gz", patient(1, SHORT).image
    array = image.array.copy()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes((study / "scans/p1.nii.gz").read_bytes()[:20000])
    elif kind == "text":
        path.write_text("a list of patients")
    elif kind == "colour":
        colour = np.zeros(SHORT, [(channel, np.uint8) for channel in "RGB"])
        nibabel.save(nibabel.Nifti1Image(colour, np.eye(4)), path)
    elif kind == "5D":
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2, 2)), np.eye(4)), path)
    else:
        array[3, 3, 1] = {"nan": np.nan, "inf": np.inf, "constant": 0}[kind]
        array = array * (kind != "constant")
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path.name


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("empty", "is empty"),
        ("cut", "cut short or damaged"),
        ("text", "not a NIfTI image"),
        ("nan", "NaN"),
        ("inf", "infinite"),
        ("constant", "same value"),
        ("colour", "3 values per voxel"),
        ("5D", "5 dimensions"),
    ],
)
def test_scans_that_cannot_be_used(study, kind, part):
    refusal(segment(bad_scan(study, kind)), study, "bad", part)
    refusal(segment("scans/p1.nii.gz", support="bad.nii.gz"), study, "bad", part)


def test_labels_on_another_grid(study):
    labels = patient(0).support.labels
    write_label_map(labels, study / "other.nii.gz")
    refusal(segment("scans", labels="other.nii.gz"), study, "other", "grid")


def test_labels_without_a_label(study):
    grid = patient(0, SHORT).image.geometry
    write_label_map(LabelMap(np.zeros(SHORT, np.uint8), grid), study / "none.nii.gz")
    refusal(segment("scans", labels="none.nii.gz"), study, "no slice is labelled")


def test_an_image_given_as_labels(study):
    refusal(segment("scans", labels="scans/p1.nii.gz"), study, "is this the label map?")


def test_a_label_without_a_name(study):
    done = segment("scans", labels="labels.nii.gz", more=("--names", "liver=1"))
    refusal(done, study, "no name for label 2, 3", "--names")


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (("--strategy", "both"), "pairwise, sequence"),
        (("--metric", "psnr"), "lpips, encoder, ssim, ncc"),
        (("--device", "tpu"), "auto, cpu, cuda, mps"),
        (("--format", "jpg"), "nifti, nrrd, seg.nrrd, mha"),
        (("--modality", "pet"), "ct, mr, other"),
        (("--window", "narrow"), "LOW,HIGH"),
        (("--window", "9,1"), "LOW,HIGH"),
        (("--augmentations", "many"), "2x"),
        (("--names", "liver"), "liver=1,spleen=4"),
        (("--min-fragment", "2"), "from 0 to 1"),
        (("--memory", "0"), "1 MiB"),
        (("--image-size", "100"), "32"),
        (("--support", "scans/p1.nii.gz"), "in pairs"),
        (("--metric", "lpips", "--offline"), "AlexNet"),
        (("--model", "sam9"), "sam9"),
        (("--model", "sam2.1-large", "--offline"), "oneslice models download sam2.1-large"),
        (("--device", "cuda"), "--device cpu"),
    ],
)
def test_options_that_cannot_be_used(study, more, part):
    if more == ("--device", "cuda") and torch.cuda.is_available():
        pytest.skip("there is one")
    refusal(segment("scans/p1.nii.gz", more=more), study, part)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_a_corrupt_checkpoint(study, content):
    (study / "model.pt").write_bytes(content)
    refusal(segment("scans/p1.nii.gz", more=("--model", "model.pt")), study, "model.pt")


def test_a_scan_that_is_not_there(study):
    refusal(segment("scans/p1.nii.gz", "scans/p9.nii.gz"), study, "scans/p9.nii.gz", "no such")
    (study / "void").mkdir()
    refusal(segment("void"), study, "void", "no scan found")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="drops the rights of root")
def test_a_folder_without_permission(study):
    segment("scans/p1.nii.gz", out="warm")  # everything is imported before the rights are dropped
    for parent in (study, *study.parents[:3]):
        parent.chmod(0o755)
    (study / "scans").chmod(0)
    shutil.copy(study / "warm/p1.nii.gz", study / "copy.nii.gz")
    write_volume(patient(0, SHORT).image, study / "p0.nii.gz")
    os.seteuid(65534)
    try:
        done = segment("scans", support="p0.nii.gz")
        unwritable = segment("p0.nii.gz", support="p0.nii.gz")
    finally:
        os.seteuid(0)
        (study / "scans").chmod(0o755)
    refusal(done, study, "scans", "Permission denied")
    refusal(unwritable, study, "out", "Permission denied")


def test_outputs_are_not_replaced_unasked(study):
    (study / "done").mkdir()
    (study / "done/p1.nii.gz").write_text("mine")
    refusal(segment("scans/p1.nii.gz", out="done"), study, "exists already", "--overwrite")
    assert files(study / "done") == ["p1.nii.gz"]


@pytest.mark.parametrize("out", ["scans", "scans/p1.seg.nrrd", "scans/p0.nii.gz", "labels.mha"])
def test_inputs_are_never_replaced(study, out):
    before = {path: (study / path).read_bytes() for path in files(study)}
    done = segment("scans/p1.nii.gz", out=out, more=("--overwrite",))
    refusal(done, study, "under the same name", "-o")
    assert {path: (study / path).read_bytes() for path in files(study)} == before


@pytest.mark.parametrize(
    ("out", "part"), [("out.png", "cannot write"), ("out.mhd", "cannot write")]
)
def test_kinds_of_files_that_are_not_written(study, out, part):
    refusal(segment("scans/p1.nii.gz", out=out), study, out, part)


def test_several_scans_for_one_file(study):
    refusal(segment("scans", out="out.nii.gz"), study, "one file for 3 scans")


def test_a_file_where_the_folder_should_be(study):
    (study / "taken").write_text("mine")
    done = segment("scans/p1.nii.gz", out="taken")
    assert done.code == 2 and "cannot be written" in done.err
    assert (study / "taken").read_text() == "mine"


def test_the_modality_scales_scans_and_supports(study):
    assert segment("scans/p1.nii.gz", more=("--modality", "ct")).code == 0
    assert json.loads((study / "out/p1.json").read_text())["window"] == [-160, 240]


def test_the_geometry_of_a_turned_scan(study):
    scan = patient(1, SHORT).image
    affine = scan.geometry.affine @ np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = scan.geometry.to_world([SHORT[0] - 1, 0, 0])
    turned = Volume(scan.array[::-1], Geometry(SHORT, affine))
    write_volume(turned, study / "turned.nii.gz")
    assert segment("scans/p1.nii.gz", "turned.nii.gz").code == 0
    plain, back = (read_label_map(study / f"out/{name}.nii.gz").array for name in ("p1", "turned"))
    assert np.array_equal(plain, back[::-1])
