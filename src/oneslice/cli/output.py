"""Facts and figures as tables, and what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from oneslice.tabular import Table

_UNLIMITED = 10_000  # characters


def print_facts(facts: Mapping[str, Any], title: str | None = None) -> None:
    """Print names and values; long values are folded, never cut."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _in_words(value))
    Console().print(table, highlight=False, markup=False)


def print_table(table: Table) -> None:
    """Print a table with its title and notes; nothing is cut where no terminal limits it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(box=box.SIMPLE, padding=(0, 1), pad_edge=False)
    for number, name in enumerate(table.header):
        shown.add_column(name, justify="right" if number else "left", no_wrap=not number)
    for row in table.rows:
        shown.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _UNLIMITED
    console.print(table.title)
    console.print(shown)
    for note in table.notes:
        console.print(f"  {note}")


def exit_if_failed(failed: Mapping[str, str], total: int, what: str) -> None:
    """Say on stderr what failed of several and exit with code 1.

    Args:
        failed: the error of each, by name.
        total: how many there were, the others included.
        what: they are, in the plural.

    """
    for name, error in failed.items():
        typer.echo(f"oneslice: {error if error.startswith(name) else f'{name}: {error}'}", err=True)
    if failed:
        typer.echo(f"oneslice: {len(failed)} of {total} {what} failed", err=True)
        raise typer.Exit(1)


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    return "unknown" if value is None else str(value)
