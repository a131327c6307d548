"""Real scans for evaluation only: the few-shot folds of CHAOS-MRI and MS-CMRSeg."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Fold:
    """Query patients and the patient whose labelled slices support them."""

    folder: str
    queries: tuple[int, ...]
    support: int


FOLDS = {
    "chaos": (
        Fold("chaos_mri_t2spir", (1, 2, 3, 5), 8),
        Fold("chaos_mri_t2spir", (8, 10, 13, 15), 19),
    ),
    "cmr": (
        Fold("mscmrseg_bssfp", tuple(range(1, 8)), 8),
        Fold("mscmrseg_bssfp", tuple(range(8, 15)), 15),
    ),
}
LABELS = {
    "chaos": {1: "liver", 2: "right kidney", 3: "left kidney", 4: "spleen"},
    "cmr": {1: "myocardium", 2: "left ventricle", 3: "right ventricle"},
}


@dataclass
class Scan:
    """Slices (Z, 1, H, W) in [0, 1] and labels (Z, H, W)."""

    grey: Tensor
    labels: Tensor


def read_scan(data: Path, folder: str, patient: int) -> Scan:
    """One patient of a fold."""
    return read_folder(data / folder / f"patient{patient:02d}")


def read_folder(where: Path) -> Scan:
    """Reads image and labels, and scales brightness between the scan's own percentiles."""
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(where / "image.nii.gz")))
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(where / "label.nii.gz")))
    low, high = np.percentile(image, [0.5, 99.5])
    grey = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1)
    return Scan(torch.from_numpy(grey)[:, None], torch.from_numpy(labels.astype(np.int64)))


def resize_grey(grey: Tensor, size: int) -> Tensor:
    """Slices (Z, 1, H, W) at the model's size."""
    if grey.shape[-2:] == (size, size):
        return grey
    return F.interpolate(grey, size=(size, size), mode="bilinear", antialias=True)


def resize_mask(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    """Masks (N, 1, H, W) of 0 and 1 in another shape."""
    if mask.shape[-2:] == tuple(shape):
        return mask
    small = F.interpolate(mask, size=tuple(shape), mode="bilinear", antialias=True)
    return (small >= 0.5).float()
