"""``make demo``'s script: it runs offline and its result is worth looking at."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.cohort import one_slice, patient
from examples.demo import brain_and_truth
from oneslice.formats import read_label_map

REPOSITORY = Path(__file__).parent.parent


def dice(found, truth, value):
    found, truth = found == value, truth == value
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, REPOSITORY / "examples" / "demo.py", "--output", folder]
    subprocess.run(command, check=True, env=environment, cwd=folder)
    return folder


def test_report_shows_the_pictures_and_the_table(output):
    report = (output / "report.html").read_text(encoding="utf-8")
    assert report.count("data:image/png;base64,") == 6
    assert "MNI152 T1" in report and "left kidney" in report
    assert (output / "brain.png").stat().st_size > 10_000


def test_brain_is_found_from_one_slice(output):
    found = read_label_map(output / "brain" / "brain.nii.gz")
    given = read_label_map(output / "brain" / "one-slice.seg.nrrd")
    assert given.array.any((0, 1)).sum() == 1
    assert np.array_equal(found.array[:, :, 90], given.array[:, :, 90])
    _, truth = brain_and_truth()
    assert dice(found.array, truth.array, 1) > 0.95


def test_study_beats_copying_the_slice(output):
    truths = {seed: patient(seed)[1] for seed in range(2, 6)}
    label = one_slice(patient(1)[1]).array
    copied = np.broadcast_to(label.max(2, keepdims=True), label.shape)
    gains = []
    for seed, truth in truths.items():
        found = read_label_map(output / "study" / "segmented" / f"patient{seed:02d}.nii.gz").array
        for structure in truth.structures:
            ours, theirs = (dice(m, truth.array, structure.value) for m in (found, copied))
            gains.append(ours - theirs)
    assert np.mean(gains) > 0.15


def test_every_liver_of_the_study_is_found(output):
    """In flat tissue a search for displacements finds what is not there: a liver was lost to it."""
    for seed in range(2, 6):
        found = read_label_map(output / "study" / "segmented" / f"patient{seed:02d}.nii.gz").array
        truth = patient(seed)[1]
        liver = next(s.value for s in truth.structures if s.name == "liver")
        assert dice(found, truth.array, liver) > 0.9
