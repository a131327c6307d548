"""Data sets of image and label pairs, cut into folds."""

from oneslice.evaluation.datasets.base import Case, Dataset, LabelledStack, Stack
from oneslice.evaluation.datasets.catalogue import Benchmark
from oneslice.evaluation.datasets.folder import open_folder
from oneslice.evaluation.datasets.opening import open_benchmark

__all__ = [
    "Benchmark",
    "Case",
    "Dataset",
    "LabelledStack",
    "Stack",
    "open_benchmark",
    "open_folder",
]
