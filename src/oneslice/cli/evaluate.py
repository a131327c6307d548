"""``oneslice evaluate``: how well label maps agree with references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oneslice.evaluation.comparison import Row


def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PRED", help="A label map or a folder.")],
    references: Annotated[Path, typer.Argument(metavar="REF", help="A label map or a folder.")],
    tolerance: Annotated[
        float, typer.Option(help="Of the normalised surface Dice (NSD), in mm.")
    ] = 2.0,
    csv: Annotated[Path | None, typer.Option(help="Write every figure to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the CSV file.")] = False,
) -> None:
    """Compare label maps: Dice, HD95, ASSD, NSD and volumes, per structure and case.

    Folders are matched by file names without suffix. Both label maps of a pair must lie on one
    grid. A structure absent from both is not scored; one that is missed, or found where there is
    none, has Dice and NSD 0 and no distances.
    """
    from oneslice.evaluation.comparison import compare_files, pair, rows_csv
    from oneslice.formats import write_text_atomically

    pairs = pair(predictions, references)
    rows = [
        row
        for name, (prediction, reference) in pairs.matched.items()
        for row in compare_files(name, prediction, reference, tolerance)
    ]
    if csv is not None:
        write_text_atomically(csv, rows_csv(rows), overwrite)
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=1))
    else:
        _print(rows, tolerance)
    if pairs.unmatched:
        typer.echo(f"No reference, not compared: {', '.join(pairs.unmatched)}", err=True)


def _print(rows: list[Row], tolerance: float) -> None:
    from oneslice.cli.output import print_table
    from oneslice.evaluation.comparison import cases_table, means_table

    if len({row.case for row in rows}) > 1:
        print_table(cases_table(rows, tolerance))
        print_table(means_table(rows, tolerance))
    else:
        print_table(cases_table(rows, tolerance))
