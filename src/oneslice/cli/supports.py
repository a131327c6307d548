"""Supports as the command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oneslice.errors import InputError

if TYPE_CHECKING:
    from oneslice.batch import Reading
    from oneslice.support import Support


def load_supports(
    images: Sequence[Path],
    labels: Sequence[Path],
    slices: Sequence[str],
    names: str | None,
    reading: Reading,
) -> list[Support]:
    """The supports that options name, in pairs of a scan and its label map.

    Raises:
        InputError: another number of one of them than of the others, or what is raised on reading.
    """
    if len(images) != len(labels):
        raise InputError(f"{len(images)} --support but {len(labels)} --labels: give them in pairs")
    if len(slices) != len(labels):
        raise InputError(
            f"{len(slices)} --slices but {len(labels)} --labels: give one for each, or none"
        )
    named, chosen = _parse_names(names), [_parse_slices(text) for text in slices]
    return [
        _load_support(image, label, some, named, reading)
        for image, label, some in zip(images, labels, chosen, strict=True)
    ]


def _load_support(
    image: Path,
    labels: Path,
    slices: Sequence[int] | None,
    names: dict[str, int] | None,
    reading: Reading,
) -> Support:
    from oneslice.support import Support

    support = Support.load(
        image,
        labels,
        names=names,
        axis=reading.axis,
        series=reading.series,
        frame=reading.frame,
    )
    return support if slices is None else support.only(slices)


def _parse_names(text: str | None) -> dict[str, int] | None:
    """``liver=1,spleen=4`` as a dictionary.

    Raises:
        InputError: written in another way.
    """
    if text is None:
        return None
    try:
        pairs = [part.rsplit("=", 1) for part in text.split(",")]
        named = {int(value): name.strip() for name, value in pairs}
    except ValueError:
        raise InputError(f"--names {text!r}: write it as liver=1,spleen=4") from None
    names = {name: value for value, name in named.items()}
    if len(names) < len(pairs):
        raise InputError(f"--names {text!r}: each name and each value once")
    if not all(name and "=" not in name and ";" not in name for name in names):
        raise InputError(f"--names {text!r}: write it as liver=1,spleen=4")
    return names


def _parse_slices(text: str) -> list[int] | None:
    """``12,45`` as numbers; None for ``all``.

    Raises:
        InputError: written in another way.
    """
    if text == "all":
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--slices {text!r}: write it as 12,45, or all") from None
