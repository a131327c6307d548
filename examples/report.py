"""The demonstration's report: pictures of the result, slice by slice, and a table."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from oneslice.frames import Window
from oneslice.geometry import canonical_view
from oneslice.volume import LabelMap, Volume

_PAGE = """<!doctype html><meta charset="utf-8"><title>oneslice: demonstration</title>
<style>body{{font:15px/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{padding:.3rem .8rem;border-bottom:1px solid #ddd;
text-align:right}}td:first-child,td:nth-child(2){{text-align:left}}img{{max-width:100%}}</style>
<h1>oneslice: one labelled slice in, segmented scans out</h1>{body}
<p>Research software, not a medical device.</p>"""


@dataclass(frozen=True)
class Row:
    """One line of the Dice table; values from 0 to 1."""

    scan: str
    structure: str
    dice: float
    copied: float


@dataclass(frozen=True)
class Panel:
    """One scan of the report: what was found, what is true, which slice was labelled (or None)."""

    title: str
    scan: Volume
    found: LabelMap
    truth: LabelMap
    labelled: int | None = None


def draw_panel(panel: Panel, columns: int = 7) -> plt.Figure:
    """Slices through the labelled part: the result in colour, the truth as a white outline."""
    view = canonical_view(panel.scan.geometry, 2)
    image = Window.of(panel.scan).apply(view.to_slices(panel.scan.array))
    found, truth = (view.to_slices(m.array) for m in (panel.found, panel.truth))
    used = np.flatnonzero(truth.any((1, 2)))
    chosen = np.unique(np.round(np.linspace(used[0], used[-1], columns + 2)[1:-1]).astype(int))
    _, row_mm, column_mm = view.spacing(panel.scan.geometry)
    figure, axes = plt.subplots(1, len(chosen), figsize=(2.1 * len(chosen), 2.6), facecolor="k")
    for axis, index in zip(axes, chosen, strict=True):
        axis.imshow(image[index], cmap="gray", vmin=0, vmax=1, aspect=row_mm / column_mm)
        for structure in panel.found.structures:
            _overlay(axis, found[index] == structure.value, structure.color)
            if (truth[index] == structure.value).any():
                axis.contour(truth[index] == structure.value, [0.5], colors="w", linewidths=0.7)
        file_index = view.file_index(panel.scan.geometry, int(index))
        axis.set_title(f"slice {file_index}", color="w", fontsize=8)
        axis.axis("off")
    note = "" if panel.labelled is None else f" - labelled: slice {panel.labelled} alone"
    figure.suptitle(panel.title + note, color="w", fontsize=10)
    figure.tight_layout()
    return figure


def _overlay(axis: plt.Axes, mask: np.ndarray, color: Sequence[int]) -> None:
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = (*(c / 255 for c in color), 0.5)
    axis.imshow(layer, aspect=axis.get_aspect())


def table_html(rows: Sequence[Row]) -> str:
    """The Dice table."""
    lines = (
        f"<tr><td>{r.scan}</td><td>{r.structure}</td><td>{100 * r.dice:.1f}</td>"
        f"<td>{100 * r.copied:.1f}</td></tr>"
        for r in rows
    )
    head = "<tr><th>scan</th><th>structure</th><th>Dice</th><th>copied slice</th></tr>"
    return f"<table>{head}{''.join(lines)}</table>"


def page(figures: Sequence[plt.Figure], rows: Sequence[Row]) -> str:
    """The whole report as one HTML page that needs no other file."""
    images = (f'<p><img src="data:image/png;base64,{_png(figure)}"></p>' for figure in figures)
    return _PAGE.format(body="".join(images) + table_html(rows))


def _png(figure: plt.Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()
