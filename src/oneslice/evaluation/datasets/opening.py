"""Opens a benchmark's data set in whichever layout it is stored."""

from __future__ import annotations

from pathlib import Path

from oneslice.errors import InputError
from oneslice.evaluation.datasets import preprocessed, published
from oneslice.evaluation.datasets.base import Dataset
from oneslice.evaluation.datasets.catalogue import DESCRIPTIONS, Benchmark
from oneslice.evaluation.protocol import folds


def open_benchmark(benchmark: Benchmark, root: Path, label: str = "label") -> Dataset:
    """The scans that are there, in the protocol's order and folds.

    Args:
        benchmark: which data set.
        root: its folder, as published or preprocessed.
        label: the stem of the label files in the preprocessed form.

    Raises:
        InputError: no such folder, none of the layouts, or a scan without its labels.

    """
    if not root.is_dir():
        raise InputError(f"{root}: is no folder")
    description = DESCRIPTIONS[benchmark]
    layout, numbers = "preprocessed", description.preprocessed
    cases = preprocessed.find_preprocessed(root, description, label)
    if not cases:
        layout, numbers = "published", description.published
        cases = published.find_published(root, benchmark)
    if not cases:
        looked_for = preprocessed.LOOKED_FOR.format(label=label)
        raise InputError(
            f"{root}: does not hold {description.title} in a known layout; looked for "
            f"{looked_for} (preprocessed), and for {published.LOOKED_FOR[benchmark]}"
        )
    return Dataset(
        benchmark.value,
        layout,
        description.structures,
        tuple(map(str, numbers)),
        cases,
        folds(description.cuts),
    )
