"""Real scans for evaluation only: the few-shot folds of CHAOS-MRI and MS-CMRSeg."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.choices import Modality
from oneslice.evaluation.datasets import Benchmark, Dataset, LabelledStack, open_benchmark
from oneslice.evaluation.datasets.base import AS_STORED
from oneslice.evaluation.protocol import slices_with
from oneslice.formats import read_label_map, read_volume
from oneslice.frames import Window

FOLDERS = {
    "chaos": (Benchmark.CHAOS_MRI, "chaos_mri_t2spir"),
    "cmr": (Benchmark.CMR, "mscmrseg_bssfp"),
}
LABELS = {  # the values of the protocol under the names that the README's tables use
    "chaos": {1: "liver", 2: "right kidney", 3: "left kidney", 4: "spleen"},
    "cmr": {1: "myocardium", 2: "left ventricle", 3: "right ventricle"},
}


@dataclass
class Scan:
    """Slices (Z, 1, H, W) in [0, 1] and labels (Z, H, W)."""

    grey: Tensor
    labels: Tensor

    def shown(self, label: int) -> tuple[int, ...]:
        """Slices that show the organ."""
        return slices_with((self.labels == label).numpy())


def open_set(data: Path, name: str) -> Dataset:
    """The data set of that name under ``data``, with its folds."""
    benchmark, folder = FOLDERS[name]
    return open_benchmark(benchmark, data / folder)


def read_case(dataset: Dataset, position: int) -> Scan:
    """The scan at a position that a fold names."""
    return scan_of(dataset.cases[dataset.identities[position]].load())


def read_folder(where: Path) -> Scan:
    """The pair image.nii.gz and label.nii.gz of one folder."""
    image, labels = read_volume(where / "image.nii.gz"), read_label_map(where / "label.nii.gz")
    return scan_of(LabelledStack.of(image, labels, AS_STORED))


def scan_of(case: LabelledStack) -> Scan:
    """Scales brightness between the scan's own percentiles, also that of a CT."""
    window = Window.of(case.stack.volume, Modality.OTHER)
    grey = torch.from_numpy(window.apply(case.stack.slices))
    return Scan(grey[:, None], torch.from_numpy(case.labels.astype(np.int64)))


def resize_grey(grey: Tensor, size: int) -> Tensor:
    """Slices (Z, 1, H, W) at the model's size."""
    if grey.shape[-2:] == (size, size):
        return grey
    return F.interpolate(grey, size=(size, size), mode="bilinear", antialias=True)


def resize_mask(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Masks (N, 1, H, W) of 0 and 1 in another shape."""
    if mask.shape[-2:] == tuple(shape):
        return mask
    small = F.interpolate(mask, size=tuple(shape), mode="bilinear", antialias=True)
    return (small >= 0.5).float()
