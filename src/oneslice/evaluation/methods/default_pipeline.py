"""``oneslice``: the default pipeline as users run it: whole volumes, no extents given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.base import Method, Request
from oneslice.evaluation.methods.options import Options
from oneslice.geometry import Array
from oneslice.segmenter import Segmenter
from oneslice.settings import Settings
from oneslice.support import Support
from oneslice.volume import LabelMap

_CHOSEN = (
    *("strategy", "metric", "search", "carried", "followed"),
    *("appearance", "trim", "outward", "closeup", "every_slice", "effort"),
)


class DefaultPipeline(Method):
    """``Segmenter`` with its default settings."""

    name = "oneslice"
    uses_extent = False

    def __init__(self, options: Options) -> None:
        chosen = {name: getattr(options, name) for name in _CHOSEN}
        given = {name: value for name, value in chosen.items() if value is not None}
        settings = replace(Settings(seed=options.seed), **given)
        self._segmenter = Segmenter(
            options.model,
            options.device,
            settings,
            image_size=options.image_size,
            offline=options.offline,
        )
        self._support: Support | None = None  # the last one: what it was completed by is kept

    def segment(self, query: Stack, support: Stack, requests: Sequence[Request]) -> list[Array]:
        """Segment all structures at once, so that they compete."""
        labels = np.zeros(support.slices.shape, np.uint16)
        for request in requests:
            for z, mask in zip(request.labelled, request.masks, strict=True):
                labels[z][mask] = request.structure.value
        structures = tuple(request.structure for request in requests)
        array, geometry = support.view.to_array(labels), support.volume.geometry
        label_map = LabelMap(array, geometry, structures)
        given = self._known(Support(support.volume, label_map, support.view.axes[0]))
        found = self._segmenter.segment(query.volume, given, axis=query.view.axes[0])
        slices = query.view.to_slices(found.array)
        return [slices == request.structure.value for request in requests]

    def _known(self, support: Support) -> Support:
        """The last support again, if it is the same."""
        last = self._support
        if not (
            last
            and last.image is support.image
            and np.array_equal(last.labels.array, support.labels.array)
        ):
            self._support = last = support
        return last

    def describe(self) -> dict[str, Any]:
        """The checkpoint and the settings."""
        segmenter, checkpoint = self._segmenter, self._segmenter.checkpoint
        described = {
            "model": checkpoint.name,
            "sha256": checkpoint.sha256,
            "image_size": segmenter.image_size,
        }
        return described | segmenter.settings.describe()
