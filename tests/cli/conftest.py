"""The study that ``oneslice segment`` is tried on."""

import shutil

import pytest

from oneslice.formats import write_label_map, write_volume
from tests.cohort import SHORT, patient

LABELLED = 2


@pytest.fixture
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
def study(written, own_settings, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path
