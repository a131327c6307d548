"""The three data sets on which the field compares itself: numbers, names and folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from oneslice.volume import Structure, default_color


class Benchmark(StrEnum):
    """A data set with a protocol."""

    CHAOS_MRI = "chaos-mri"
    SYNAPSE_CT = "synapse-ct"
    CMR = "cmr"


@dataclass(frozen=True)
class Description:
    """What is known of a data set before it is opened.

    Args:
        title: its name in print.
        structures: what is segmented.
        published: the patients' numbers as its owners publish it, in the order of the folds.
        preprocessed: their numbers in the preprocessed form that circulates.
        cuts: positions at which the folds are cut.
        values: label values that stand for others in some copies.
        ignored: label values that occur and are not scored.
        note: which copies are comparable.
    """

    title: str
    structures: tuple[Structure, ...]
    published: tuple[int, ...]
    preprocessed: tuple[int, ...]
    cuts: tuple[int, ...]
    values: Mapping[int, int] = field(default_factory=dict)
    ignored: frozenset[int] = frozenset()
    note: str = ""


def _structures(names: Mapping[int, str]) -> tuple[Structure, ...]:
    return tuple(Structure(value, name, default_color(value)) for value, name in names.items())


_CHAOS = (1, 2, 3, 5, 8, 10, 13, 15, 19, 20, 21, 22, 31, 32, 33, 34, 36, 37, 38, 39)
_CMR = tuple(range(1, 36))

DESCRIPTIONS = {
    Benchmark.CHAOS_MRI: Description(
        "CHAOS-MRI (T2-SPIR)",
        _structures({1: "liver", 2: "right kidney", 3: "left kidney", 4: "spleen"}),
        _CHAOS,
        _CHAOS,
        (0, 4, 8, 12, 16, 20),
        note="Two versions of the labels circulate, with a mean Dice of 0.987 to 0.993 between "
        "them; the manifest of a run holds the hashes of those it used.",
    ),
    Benchmark.SYNAPSE_CT: Description(
        "Synapse-CT (BTCV, SABS)",
        _structures({1: "spleen", 2: "right kidney", 3: "left kidney", 6: "liver"}),
        (*range(1, 11), *range(21, 41)),
        tuple(range(30)),
        (0, 6, 12, 18, 24, 30),
        ignored=frozenset({4, 5, *range(7, 14)}),
    ),
    Benchmark.CMR: Description(
        "CMR (MS-CMRSeg bSSFP)",
        _structures({1: "LV myocardium", 2: "LV blood pool", 3: "RV"}),
        _CMR,
        _CMR,
        (0, 7, 14, 21, 28, 35),
        values={200: 1, 500: 2, 600: 3},
    ),
}
