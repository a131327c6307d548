"""Small scans with two structures whose place is known, and the layouts that data sets come in."""

import numpy as np
import SimpleITK as sitk  # noqa: N813

SPACING = (1.5, 1.5, 5.0)


def make_scan(seed, slices=9, side=32):
    """Image and labels (I, J, K): a bright disc (1) on slices 2 to 7, a square (2) on 1 to 4."""
    random = np.random.default_rng(seed)
    shift = random.integers(-3, 4, 2)
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    labels = np.zeros((side, side, slices), np.uint8)
    for z in range(2, 8):
        disc = (x - 11 - shift[0]) ** 2 + (y - 12 - shift[1]) ** 2 <= (3 + z / 2) ** 2
        labels[..., z][disc] = 1
    for z in range(1, 5):
        labels[20 + shift[0] : 26 + shift[0], 19 + shift[1] : 26 + shift[1], z] = 2
    image = random.normal(100, 8, labels.shape) + 150 * (labels == 1) + 80 * (labels == 2)
    return np.clip(image, 0, 1000).astype(np.int16), labels


def write_nifti(path, array, spacing=SPACING, direction=None):
    """Write an array (I, J, K)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing(spacing)
    if direction is not None:
        image.SetDirection(np.asarray(direction, float).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def write_pairs(root, names):
    """<name>/image.nii.gz and <name>/label.nii.gz; returns the arrays by name."""
    scans = {}
    for seed, name in enumerate(names):
        image, labels = scans[name] = make_scan(seed)
        write_nifti(root / name / "image.nii.gz", image)
        write_nifti(root / name / "label.nii.gz", labels)
    return scans
