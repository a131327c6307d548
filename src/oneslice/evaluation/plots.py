"""Mean Dice as lines over what was varied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oneslice.errors import InputError
from oneslice.evaluation.plan import Extents
from oneslice.evaluation.summary import VariantSummary
from oneslice.evaluation.variants import Rows
from oneslice.formats import atomic_path

_STYLES = {Extents.KNOWN: "-", Extents.UNKNOWN: "--"}


def require_matplotlib() -> None:
    """Raise if nothing can be plotted; to be asked before long work, too.

    Raises:
        InputError: matplotlib is not installed.

    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError("the plot needs matplotlib: pip install 'oneslice[demo]'") from error


def plot(rows: Rows, summaries: Sequence[VariantSummary], title: str, path: Path) -> Path:
    """Draw one line for each of ``rows.places``' lines and each setting, as a PNG.

    Raises:
        InputError: matplotlib is not installed.

    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for (line, extents), (x, y) in _lines(rows, summaries).items():
        axes.plot(x, y, _STYLES[extents], marker="o", label=f"{line} ({extents.value})")
    axes.set(xlabel=rows.axis, ylabel="mean Dice x 100", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_path(path, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


Points = tuple[list[float | str], list[float]]


def _lines(rows: Rows, summaries: Sequence[VariantSummary]) -> dict[tuple[str, Extents], Points]:
    """(x, Dice x 100) of each line in each setting."""
    dice = {(s.variant, s.extents): s.dice for s in summaries}
    lines: dict[tuple[str, Extents], Points] = {}
    for extents in Extents:
        for variant, place in zip(rows.variants, rows.places, strict=True):
            value = dice.get((variant.label, extents))
            if value is not None:
                x, y = lines.setdefault((place.line, extents), ([], []))
                x.append(place.x)
                y.append(100 * value)
    return lines
