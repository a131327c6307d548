"""Generated scans in the layout of the real ones."""

import numpy as np
import pytest
import torch

from oneslice.errors import InputError
from tests.evaluation.cohort import make_scan, write_nifti, write_pairs
from training.scans import (
    FOLDERS,
    LABELS,
    open_set,
    read_case,
    read_folder,
    resize_grey,
    resize_mask,
)

FOLDS = {  # patients' numbers
    "chaos": [((1, 2, 3, 5), 8), ((8, 10, 13, 15), 19)],
    "cmr": [((1, 2, 3, 4, 5, 6, 7), 8), ((8, 9, 10, 11, 12, 13, 14), 15)],
}


def write_set(root, name, numbers):
    return write_pairs(root / FOLDERS[name][1], [f"patient{number:02d}" for number in numbers])


@pytest.mark.parametrize("name", FOLDS)
def test_folds_1_and_2_and_their_cases(tmp_path, name):
    numbers = sorted({n for queries, support in FOLDS[name] for n in (*queries, support)})
    written = write_set(tmp_path, name, numbers)
    dataset = open_set(tmp_path, name)
    for fold, (queries, support) in zip(dataset.chosen_folds([1, 2]), FOLDS[name], strict=True):
        assert tuple(int(dataset.identities[n]) for n in fold.queries) == queries
        assert int(dataset.identities[fold.support]) == support
        labels = read_case(dataset, fold.support).labels
        assert np.array_equal(labels, written[f"patient{support:02d}"][1].T)
    assert set(LABELS[name]) == {structure.value for structure in dataset.structures}


def test_a_fold_without_its_support_is_refused(tmp_path):
    write_set(tmp_path, "chaos", (1, 2, 3, 5))
    with pytest.raises(InputError, match="fold 1 lacks the scans 8"):
        open_set(tmp_path, "chaos").chosen_folds([1])


@pytest.mark.parametrize("water", [0, -1000])
def test_a_folder_becomes_slices_between_black_and_white(tmp_path, water):
    """The scan's own percentiles, also where the numbers are those of a CT."""
    image, labels = make_scan(0)
    image += water
    write_nifti(tmp_path / "image.nii.gz", image)
    write_nifti(tmp_path / "label.nii.gz", labels)
    scan = read_folder(tmp_path)
    low, high = np.percentile(image, (0.5, 99.5))
    expected = np.clip((image.T - low) / (high - low), 0, 1)
    assert scan.grey.dtype == torch.float32
    np.testing.assert_allclose(scan.grey[:, 0], expected, atol=1e-6)
    assert np.array_equal(scan.labels, labels.T)
    assert scan.shown(1) == (2, 3, 4, 5, 6, 7)
    assert scan.shown(2) == (1, 2, 3, 4)
    assert scan.shown(3) == ()


def test_resizing():
    grey = torch.linspace(0, 1, 16).expand(2, 1, 16, 16)
    assert resize_grey(grey, 16) is grey
    assert resize_grey(grey, 32).shape == (2, 1, 32, 32)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    small = resize_mask(mask, (16, 16))
    assert small[..., 4:12, 4:12].all()
    assert small.sum() == 64
    assert torch.equal(resize_mask(small, (32, 32)).unique(), torch.tensor([0.0, 1.0]))
