"""Published figures, to read ours against.

Mean Dice x 100 over the structures and all five folds of the complete data sets, three labelled
slices of one support scan, each structure's extent in the query known. Collected from the papers
named; read the figure there before you cite it.
"""

from __future__ import annotations

from dataclasses import dataclass

from oneslice.evaluation.datasets import Benchmark

_PRESENT_ONLY = (
    "code of the ADNet lineage scores only slices that show the structure, and cuts chunks by "
    "their count"
)


@dataclass(frozen=True)
class Published:
    """One row.

    Args:
        method: its name.
        setting: what it needs besides the support.
        source: where the figures are printed.
        dice: mean Dice x 100 by data set.
        caveats: what keeps it from being compared as it stands.
    """

    method: str
    setting: str
    source: str
    dice: dict[Benchmark, float]
    caveats: tuple[str, ...] = ()


def _row(chaos: float, synapse: float, cmr: float | None = None) -> dict[Benchmark, float]:
    row = {Benchmark.CHAOS_MRI: chaos, Benchmark.SYNAPSE_CT: synapse}
    return row if cmr is None else row | {Benchmark.CMR: cmr}


PUBLISHED = (
    Published(
        "SAM 2 tiny, plain",
        "training-free",
        "the table in the paper of RE-SAM2",
        _row(68.57, 68.60, 66.62),
    ),
    Published(
        "SAM 2 tiny, augmentative prompting and dynamic matching",
        "training-free",
        "arXiv 2503.04826",
        _row(83.30, 80.02, 84.50),
        ("the strength of its augmentations is not published",),
    ),
    Published(
        "GMRD",
        "trained on the other folds",
        "IEEE Transactions on Medical Imaging 2024",
        _row(82.90, 78.52, 79.11),
        (_PRESENT_ONLY,),
    ),
    Published("FoB + SAM", "trained", "arXiv 2603.21287", _row(84.46, 86.21)),
    Published(
        "RE-SAM2",
        "tuned at test time",
        "the paper of RE-SAM2",
        _row(85.31, 86.12, 82.18),
        ("weights change for each query",),
    ),
    Published(
        "nnU-Net 2D",
        "fully supervised",
        "quoted in few-shot tables of 2025 and 2026",
        _row(90.31, 87.50),
        ("trained on every labelled scan of the other folds: a ceiling, no rival",),
    ),
)
