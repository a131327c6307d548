"""What ``oneslice segment`` refuses, in one line that says what to do."""

import os
import shutil

import nibabel
import numpy as np
import pytest
import torch

from oneslice.choices import Device, Effort, Format, Metric, Modality, Search, Strategy
from oneslice.formats import write_label_map, write_volume
from oneslice.volume import LabelMap
from tests.cli.command import files, refusal, segment
from tests.cohort import SHORT, patient


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
        (("--window", "narrow"), "LOW,HIGH"),
        (("--window", "9,1"), "LOW,HIGH"),
        (("--augmentations", "many"), "2x"),
        (("--names", "liver"), "liver=1,spleen=4"),
        (("--names", "=1,b=2"), "liver=1,spleen=4"),
        (("--names", "a=1;b=2,c=3"), "liver=1,spleen=4"),
        (("--seed", "99999999999999999999"), "from 0 to 4294967295"),
        (("--image-size", "4096000"), "from 32 to 4096"),
        (("--window", "5000,6000"), "shows nothing"),
        (("--min-fragment", "2"), "from 0 to 1"),
        (("--memory", "0"), "from 1 up"),
        (("--image-size", "100"), "32"),
        (("--support", "scans/p1.nii.gz"), "in pairs"),
        (("--slices", "two"), "write it as 12,45, or all"),
        (("--slices", "3"), "nothing is labelled on slice 3; labelled are slices from 2 to 2"),
        (("--slices", "2", "--slices", "all"), "2 --slices but 1 --labels"),
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


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("--search", Search),
        ("--effort", Effort),
        ("--strategy", Strategy),
        ("--metric", Metric),
        ("--device", Device),
        ("--format", Format),
        ("--modality", Modality),
    ],
)
def test_a_word_that_is_no_choice_is_answered_with_the_choices(study, option, kind):
    done = segment("scans/p1.nii.gz", more=(option, "magic"))
    assert done.code == 2 and done.out == "" and not (study / "out").exists()
    assert option in done.err and all(f"'{member.value}'" in done.err for member in kind)


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
