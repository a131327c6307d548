"""One scan on its way through the stages: frames, matching, propagation, fusion, quality."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.frames import Frames, Window
from oneslice.fusion import blend, fuse, present_logits, remove_fragments
from oneslice.geometry import Array, SliceView
from oneslice.pool import structure_masks
from oneslice.prepared import PreparedSupports
from oneslice.propagation import Case, SlicePrediction, propagate
from oneslice.quality import confidence
from oneslice.sam2.engine import Engine
from oneslice.settings import Settings
from oneslice.volume import Volume

Progress = Callable[[int, int], None]


class ScanRun:
    """Segments one scan and remembers how.

    Args:
        engine: the SAM 2 engine.
        volume: the query scan.
        view: how it is read as slices.
        prepared: the supports, made ready.
        settings: how to segment.
        clock: adds up the seconds of each stage.
    """

    def __init__(
        self,
        engine: Engine,
        volume: Volume,
        view: SliceView,
        prepared: PreparedSupports,
        settings: Settings,
        clock: Stopwatch,
    ) -> None:
        self._volume, self._view, self._prepared = volume, view, prepared
        self._settings, self._clock = settings, clock
        self._window = settings.window or Window.of(volume, settings.modality)
        self._frames = Frames(volume, view, self._window, engine.image_size)
        self._given = self._given_labels()
        queries = EncodedFrames(engine, self._frames, settings.feature_budget, clock)
        known = {index: self._masks(labels) for index, labels in self._given.items()}
        self._case = Case(engine, queries, prepared.matcher, prepared.prompter, clock, known)
        self._labels = np.zeros((len(self._frames), *self._frames.slice_shape), np.uint16)
        self._certainty = np.ones((len(self._frames), len(prepared.structures)))

    def _given_labels(self) -> dict[int, Array]:
        """The labelled slices, by position, of supports that are slices of this very scan."""
        given: dict[int, Array] = {}
        for support in self._prepared.supports:
            if support.axis == self._view.axes[0] and support.is_of(self._volume):
                labels = self._view.to_slices(support.labels.array)
                for index in np.flatnonzero(labels.any((1, 2))).tolist():
                    below = given.get(index, np.zeros_like(labels[index]))
                    given[index] = np.where(labels[index], labels[index], below)
        return given

    def _masks(self, labels: Array) -> Tensor:
        return self._frames.letterbox.fit_mask(structure_masks(labels, self._prepared.structures))

    def segment(self, progress: Progress) -> tuple[Array, Array]:
        """Labels (I, J, K) on the scan's grid, and confidence (N, K) in the file's slice order."""
        self._keep_given(self._labels)
        progress(len(self._given), len(self._frames))
        with self._clock.stage("propagation"):
            results = propagate(self._case, self._settings.strategy)
            for done, result in enumerate(results, len(self._given) + 1):
                self._keep(result)
                progress(done, len(self._frames))
        labels = self._labels
        if self._settings.min_fragment:
            labels = remove_fragments(labels, self._settings.min_fragment)
            self._keep_given(labels)
        return self._view.to_array(labels), self._in_file_order(self._certainty)

    def _keep_given(self, labels: Array) -> None:
        for index, given in self._given.items():
            labels[index] = given

    def _keep(self, result: SlicePrediction) -> None:
        with self._clock.stage("fusion"):
            logits = present_logits(result.prediction, self._settings.presence).cpu()
            if result.carried is not None:
                logits = blend(logits, result.carried, self._settings.carried)
            restored = self._frames.letterbox.restore(logits)
            self._labels[result.index] = fuse(restored, self._prepared.structures)
            certain = confidence(result.prediction, self._settings.presence)
            self._certainty[result.index] = certain.cpu()

    def _in_file_order(self, rows: Array) -> Array:
        return rows[::-1] if self._view.flips[0] else rows

    def record(self) -> dict[str, Any]:
        """What was done, slice by slice, in the file's order."""
        order = self._in_file_order(np.arange(len(self._frames)))
        return {
            "scan": str(self._volume.source or self._volume.name),
            "slice_axis": self._view.axes[0],
            "window": [self._window.low, self._window.high],
            "seconds": self._clock.report(),
            "slices": [self._slice_record(int(index)) for index in order],
        }

    def _slice_record(self, index: int) -> dict[str, Any]:
        position = self._view.file_index(self._volume.geometry, index)
        if index in self._given:
            return {"slice": position, "given": True}
        chosen, distances = self._case.matches[index]
        structures, certain = self._prepared.structures, self._certainty[index]
        rows = zip(structures, chosen, distances, certain, strict=True)
        found = [
            {
                "name": structure.name,
                "value": structure.value,
                "confidence": round(float(certainty), 4),
                "distance": round(float(distance), 6),
                "support": self._prepared.pool.describe(int(entry)),
            }
            for structure, entry, distance, certainty in rows
        ]
        return {"slice": position, "structures": found}
