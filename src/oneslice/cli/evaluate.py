"""``oneslice evaluate``: how well label maps agree with references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneslice.cli.output import exit_if_failed
from oneslice.errors import InputError
from oneslice.evaluation.choices import TOLERANCE

if TYPE_CHECKING:
    from oneslice.evaluation.comparison import Pairs, Row


_EITHER = "A label map, or a folder of them (of DICOM SEG, those named .seg.dcm)."


def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PRED", help=_EITHER)],
    references: Annotated[Path, typer.Argument(metavar="REF", help=_EITHER)],
    tolerance: Annotated[
        float, typer.Option(help="Of the normalised surface Dice (NSD), in mm.")
    ] = TOLERANCE,
    csv: Annotated[Path | None, typer.Option(help="Write every figure to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the CSV file.")] = False,
) -> None:
    """Compare label maps: Dice, HD95, ASSD, NSD and volumes, per structure and case.

    Folders are matched by file names without suffix. Both label maps of a pair
    must lie on one grid, of which one of them may hold a part. A structure
    absent from both is not scored; one that is missed, or found where there is
    none, has Dice and NSD 0 and no distances. Exit code 1 if a pair of several
    failed, or a prediction is missing (the others are measured), 2 for an
    error.
    """
    from oneslice.evaluation.comparison import pair, rows_csv
    from oneslice.evaluation.metrics import check_tolerance
    from oneslice.formats import refuse_taken, write_text_atomically

    check_tolerance(tolerance)
    if csv is not None:
        refuse_taken(csv, overwrite)
    pairs = pair(predictions, references)
    rows, failed = _measure(pairs, tolerance)
    if csv is not None:
        write_text_atomically(csv, rows_csv(rows), overwrite)
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=1))
    else:
        _print(rows, tolerance)
    if pairs.unmatched:
        typer.echo(f"No reference, not compared: {', '.join(pairs.unmatched)}", err=True)
    failed |= dict.fromkeys(pairs.missing, "there is no prediction of that name")
    exit_if_failed(failed, len(pairs.matched) + len(pairs.missing), "pairs")


def _measure(pairs: Pairs, tolerance: float) -> tuple[list[Row], dict[str, str]]:
    """The rows of the pairs that can be compared, and the errors of the others by name.

    Raises:
        InputError: the only pair cannot be compared.

    """
    from oneslice.evaluation.comparison import compare_files

    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name, (prediction, reference) in pairs.matched.items():
        try:
            rows += compare_files(name, prediction, reference, tolerance)
        except InputError as error:
            if len(pairs.matched) == 1:
                raise
            failed[name] = str(error)
    return rows, failed


def _print(rows: list[Row], tolerance: float) -> None:
    from oneslice.cli.output import print_table
    from oneslice.evaluation.comparison import cases_table, means_table

    if len({row.case for row in rows}) > 1:
        print_table(cases_table(rows, tolerance))
        print_table(means_table(rows, tolerance))
    else:
        print_table(cases_table(rows, tolerance))
