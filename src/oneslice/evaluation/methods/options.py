"""What methods can be told."""

from __future__ import annotations

from dataclasses import dataclass

from oneslice.choices import Device, Effort, Metric, Search, Strategy


@dataclass(frozen=True)
class Options:
    """What methods can be told; those without a network ignore all of it.

    Args:
        model: a checkpoint's name or path.
        image_size: side of the network's input; None: the checkpoint's own.
        device: where to run.
        offline: never use the network.
        metric: how supports are matched to slices; None: by encoder features in ``paper``, as
            users get it in ``oneslice``.
        per_query: augmented copies for each query slice in ``paper`` (its N_T).
        strategy: how memories flow in ``oneslice``; None: as users get it.
        search: how supports come to resemble slices in ``oneslice``; None: as users get it.
        carried: weight of the registered masks in ``oneslice``; None: as users get it.
        followed: the same within one scan.
        appearance: likewise of intensities.
        trim: whether ``oneslice`` clears structures beyond their ends; None: as users get it.
        outward: whether it follows a scan from its own labelled slices; likewise.
        closeup: whether it looks at a small part of the slices alone; likewise.
        every_slice: whether it looks at every slice, however thin; likewise.
        effort: how much it does for a result; likewise.
        seed: of the augmentations.
    """

    model: str = "mini"
    image_size: int | None = None
    device: Device = Device.AUTO
    offline: bool = False
    metric: Metric | None = None
    per_query: int = 2
    strategy: Strategy | None = None
    search: Search | None = None
    carried: float | None = None
    followed: float | None = None
    appearance: float | None = None
    trim: bool | None = None
    outward: bool | None = None
    closeup: bool | None = None
    every_slice: bool | None = None
    effort: Effort | None = None
    seed: int = 0
