"""The protocol on real scans, where they are at hand.

In the folder that ONESLICE_DATA names, or in shared/data beside the clone.
"""

import os
from pathlib import Path

import pytest

from oneslice.evaluation.datasets import Benchmark, open_benchmark
from oneslice.evaluation.methods.copying import Copy
from oneslice.evaluation.plan import Extents
from oneslice.evaluation.results import RunFolder
from oneslice.evaluation.runner import Run, Variant, execute
from oneslice.evaluation.summary import summarise

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
DATA = Path(os.environ.get("ONESLICE_DATA", BESIDE))
FOLDERS = {Benchmark.CHAOS_MRI: "chaos_mri_t2spir", Benchmark.CMR: "mscmrseg_bssfp"}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no scans at hand")

# Dice x 100 of copying with three labelled slices; the same from a separate script of loops.
PINNED = [
    (Benchmark.CHAOS_MRI, "label", (56.95, 38.25, 40.46, 24.12)),
    (Benchmark.CHAOS_MRI, "label_alpnet", (57.06, 38.36, 40.83, 24.24)),
    (Benchmark.CMR, "label", (17.03, 36.99, 42.18)),
]


# The same on all folds, measured by others; the versions of the labels differ by about as much.
COMPLETE = [
    (Benchmark.CHAOS_MRI, (58.5, 38.5, 43.7, 35.0)),
    (Benchmark.CMR, (17.2, 35.9, 38.5)),
]


def copying(dataset, folder, folds):
    """Dice x 100 by structure."""
    run = Run(dataset, folds, [Variant("copy", Copy(), 3)], [Extents.KNOWN], 2.0)
    results = list(execute(run, RunFolder(folder), lambda unit: None))
    (summary,) = summarise(results, [s.name for s in dataset.structures])
    return [100 * structure.dice for structure in summary.structures]


@pytest.mark.parametrize(("benchmark", "label", "expected"), PINNED)
def test_copying_on_folds_1_and_2(tmp_path, monkeypatch, benchmark, label, expected):
    monkeypatch.setattr("oneslice.evaluation.scoring.compare", _no_distances)
    dataset = open_benchmark(benchmark, DATA / FOLDERS[benchmark], label)
    found = copying(dataset, tmp_path, dataset.chosen_folds([1, 2]))
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("benchmark", "expected"), COMPLETE)
def test_copying_on_complete_data(tmp_path, monkeypatch, benchmark, expected):
    monkeypatch.setattr("oneslice.evaluation.scoring.compare", _no_distances)
    dataset = open_benchmark(benchmark, DATA / FOLDERS[benchmark])
    if any(map(dataset.missing, dataset.folds)):
        pytest.skip("not all folds are at hand")
    found = copying(dataset, tmp_path, dataset.folds)
    assert found == pytest.approx(expected, abs=0.5)


def _no_distances(prediction, reference, spacing, tolerance):
    """Surface distances take most of the time and are tested elsewhere."""
    from oneslice.evaluation.metrics import Agreement, Presence

    return Agreement(Presence.BOTH, None, None, None, None, 0.0, 0.0)
