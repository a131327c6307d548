"""Predicted label maps against references, files or folders, structure by structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError
from oneslice.evaluation.metrics import Agreement, Mean, Presence, compare
from oneslice.formats import place_on_grid, read_label_map, stem_of
from oneslice.formats.dicom_files import is_dicom
from oneslice.formats.suffixes import LABEL_MAPS, by_stem, only_one
from oneslice.tabular import Table, as_csv
from oneslice.volume import LabelMap, Structure

RULE = (
    "Absent from both: not scored. Missed or spurious: Dice and NSD are 0, distances are "
    "undefined and left out of the means."
)


@dataclass(frozen=True)
class Row:
    """One structure of one case."""

    case: str
    structure: str
    value: int
    agreement: Agreement

    def as_dict(self) -> dict[str, Any]:
        """Flat, for CSV and JSON."""
        found = self.agreement
        return (
            {"case": self.case, "structure": self.structure, "value": self.value}
            | asdict(found)
            | {
                "volume_difference_ml": found.volume_difference_ml,
                "volume_difference_percent": found.volume_difference_percent,
            }
        )


@dataclass(frozen=True)
class Pairs:
    """Predictions and references of one name.

    Args:
        matched: (prediction, reference) by name.
        unmatched: predictions without a reference.
        missing: references without a prediction.
    """

    matched: dict[str, tuple[Path, Path]]
    unmatched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def pair(predictions: Path, references: Path) -> Pairs:
    """Pair two files, or two folders by the names of their files without suffix.

    Raises:
        InputError: one is a file and the other a folder, nothing is there, no reference has a
            prediction, or one has several.

    """
    for path in (predictions, references):
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    if predictions.is_dir() != references.is_dir():
        raise InputError("give two files or two folders, not one of each")
    if not references.is_dir():
        return Pairs({stem_of(references): (predictions, references)})
    predicted, expected = _label_maps(predictions), _label_maps(references)
    both = [name for name in expected if name in predicted]
    if not both:
        raise InputError(
            f"{predictions}: no prediction for any of {len(expected)} references "
            f"({', '.join(list(expected)[:5])}); files are matched by their names without suffix"
        )
    matched = {name: (only_one(predicted[name]), only_one(expected[name])) for name in both}
    extra = tuple(name for name in predicted if name not in expected)
    return Pairs(matched, extra, tuple(name for name in expected if name not in predicted))


def _label_maps(folder: Path) -> dict[str, list[Path]]:
    """The label maps below a folder by path without suffix."""
    named = by_stem(folder, folder.rglob("*"), LABEL_MAPS)
    if not named:
        raise InputError(f"{folder}: no label maps in it ({', '.join(LABEL_MAPS)})")
    return named


def compare_files(name: str, prediction: Path, reference: Path, tolerance: float) -> list[Row]:
    """Every structure that either of the two names or shows.

    Raises:
        InputError: they lie on different grids, contradict each other in their names, or cannot
            be read.

    """
    predicted, expected = _on_one_grid(read_label_map(prediction), read_label_map(reference))
    if difference := predicted.geometry.difference(expected.geometry):
        raise InputError(
            f"{prediction}: not on the grid of {reference} ({difference}); resample one onto the "
            "other, nearest neighbour, before they are compared"
        )
    if clash := _contradiction(predicted, expected):
        ours, theirs = (f"label {s.value} is {s.name!r}" for s in clash)
        raise InputError(
            f"{prediction}: {ours}, but in {reference} {theirs}; labels are compared by value: "
            "give each structure one value and one name in both"
        )
    return [
        Row(
            name,
            structure.name,
            structure.value,
            compare(
                predicted.array == structure.value,
                expected.array == structure.value,
                expected.geometry.spacing,
                tolerance,
            ),
        )
        for structure in _structures(predicted, expected)
    ]


def _on_one_grid(predicted: LabelMap, expected: LabelMap) -> tuple[LabelMap, LabelMap]:
    """Both on a grid that holds them; as they are if there is none.

    That is the grid of one of them. Two DICOM SEG may each lack slices that they show nothing on.
    """
    grids = [predicted.geometry, expected.geometry]
    if all(labels.source and is_dicom(labels.source) for labels in (predicted, expected)):
        grids.append(predicted.geometry.around(expected.geometry))
    for grid in grids:
        with suppress(InputError):
            return place_on_grid(predicted, grid), place_on_grid(expected, grid)
    return predicted, expected


def _contradiction(predicted: LabelMap, expected: LabelMap) -> tuple[Structure, Structure] | None:
    """A value that has two names, or a name that has two values, where both sides give names."""
    ours, theirs = _named(predicted), _named(expected)
    apart = product(sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys()))
    return next(((ours[a], theirs[b]) for a, b in apart if a[0] == b[0] or a[1] == b[1]), None)


def _named(labels: LabelMap) -> dict[tuple[int, str], Structure]:
    """By value and name; "Liver" is "liver"."""
    return {(s.value, s.name.casefold()): s for s in labels.structures if s.is_named}


def _structures(predicted: LabelMap, expected: LabelMap) -> Iterator[Structure]:
    """By value; the reference's names go first, the prediction's stand in."""
    known = {s.value: s for s in predicted.structures} | {s.value: s for s in expected.structures}
    shown = {int(v) for labels in (predicted, expected) for v in np.unique(labels.array)}
    for value in sorted((shown - {0}) | {s.value for s in expected.structures}):
        structure = known[value]
        if not structure.is_named:
            structure = next((s for s in predicted.structures if s.value == value), structure)
        yield structure


def means_table(rows: Sequence[Row], tolerance: float) -> Table:
    """Means over cases, one line for each structure."""
    names = _names(rows)
    groups: dict[tuple[int, str], list[Agreement]] = {}
    for row in rows:
        groups.setdefault((row.value, names[row.value, row.structure]), []).append(row.agreement)
    header = (
        *("structure", "cases", "Dice", "HD95 mm", "ASSD mm", f"NSD {tolerance:g} mm"),
        *("volume %", "missed", "spurious"),
    )
    lines = tuple(_means(name, found) for (_, name), found in sorted(groups.items()))
    return Table("Means over cases", header, lines, (RULE,))


def _names(rows: Sequence[Row]) -> dict[tuple[int, str], str]:
    """What to call each value and name: "Liver" is "liver", and no name is the only one given."""
    found = list(dict.fromkeys((row.value, row.structure) for row in rows))
    spelt: dict[int, dict[str, str]] = {value: {} for value, _ in found}
    for value, name in found:
        if name != Structure.unnamed(value).name:
            spelt[value].setdefault(name.casefold(), name)
    only = {value: next(iter(names.values())) for value, names in spelt.items() if len(names) == 1}
    return {
        (value, name): spelt[value].get(name.casefold(), only.get(value, name))
        for value, name in found
    }


def _means(name: str, found: Sequence[Agreement]) -> tuple[str, ...]:
    def mean(values: Iterator[float | None], digits: int) -> str:
        value = Mean.of(values).value
        return "-" if value is None else f"{value:.{digits}f}"

    return (
        name,
        str(sum(a.presence is not Presence.ABSENT for a in found)),
        mean((a.dice for a in found), 3),
        mean((a.hd95 for a in found), 2),
        mean((a.assd for a in found), 2),
        mean((a.nsd for a in found), 3),
        mean((a.volume_difference_percent for a in found), 1),
        str(sum(a.presence is Presence.MISSED for a in found)),
        str(sum(a.presence is Presence.SPURIOUS for a in found)),
    )


def cases_table(rows: Sequence[Row], tolerance: float) -> Table:
    """Every structure of every case."""
    header = (
        *("case", "structure", "", "Dice", "HD95 mm", "ASSD mm", f"NSD {tolerance:g} mm"),
        *("volume ml", "reference ml"),
    )
    return Table("Cases", header, tuple(_case(row) for row in rows))


def _case(row: Row) -> tuple[str, ...]:
    def number(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    found = row.agreement
    presence = "" if found.presence is Presence.BOTH else found.presence.value
    figures = number(found.dice, 3), number(found.hd95, 2), number(found.assd, 2)
    volumes = number(found.volume_ml, 1), number(found.reference_ml, 1)
    return row.case, row.structure, presence, *figures, number(found.nsd, 3), *volumes


def rows_csv(rows: Sequence[Row]) -> str:
    """Every figure of every structure of every case."""
    return as_csv([row.as_dict() for row in rows])
