"""One scan on its way through the stages: frames, matching, propagation, fusion, quality."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from oneslice.choices import Search
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.following import Follower
from oneslice.frames import modality_of, structure_masks
from oneslice.fusion import Blend, clear_absent, fuse, remove_fragments, shared
from oneslice.geometry import Array, SliceView
from oneslice.prepared import PreparedSupports
from oneslice.presence import evidence, stretches, unless_beyond, unless_rivalled
from oneslice.propagation import Case, SlicePrediction, propagate
from oneslice.sam2.engine import Engine
from oneslice.second import second_pass
from oneslice.settings import Settings
from oneslice.stride import interpolate
from oneslice.volume import Volume

Progress = Callable[[int, int], None]


class _Steps:
    """Counts the steps of a scan: each slice is matched, then segmented, once in each pass."""

    def __init__(self, progress: Progress, total: int, done: int, passes: int) -> None:
        self._progress, self._total, self._done = progress, total, float(done)
        self._step = 1 / passes
        progress(done, total)

    def tick(self, share: float = 1.0) -> None:
        """A step, or a share of one, is done."""
        self._done += share * self._step
        self._progress(min(round(self._done), self._total), self._total)

    def finish(self) -> None:
        if round(self._done) < self._total:
            self._progress(self._total, self._total)


class ScanRun:
    """Segments one scan and remembers how.

    Args:
        engine: the SAM 2 engine.
        volume: the query scan.
        view: how it is read as slices.
        prepared: the supports, made ready.
        settings: how to segment.
        clock: adds up the seconds of each stage.
        veto: whether a scan that is followed from its own slices has nothing where the network
            calls a structure absent, even if ends are decided afterwards.
    """

    def __init__(
        self,
        engine: Engine,
        volume: Volume,
        view: SliceView,
        prepared: PreparedSupports,
        settings: Settings,
        clock: Stopwatch,
        veto: bool = False,
    ) -> None:
        self._engine, self._volume, self._view, self._prepared = engine, volume, view, prepared
        self._settings, self._clock, self._veto = settings, clock, veto
        self._frames = settings.frames(volume, view, engine.image_size)
        self._given = self._given_labels()
        self._queries = EncodedFrames(engine, self._frames, settings.feature_budget, clock)
        self._from_itself = settings.follows_own and self._shows_all()
        self._labels = np.zeros((len(self._frames), *self._frames.slice_shape), np.uint16)
        self._second = np.zeros_like(self._labels)
        size = len(self._frames), len(prepared.structures)
        self._certainty, self._agreement = np.ones(size), np.ones(size)
        self._chosen, self._distance = np.zeros(size, int), np.zeros(size)
        self._shared = np.zeros((*size, size[1]), np.float32)

    def _given_labels(self) -> dict[int, Array]:
        """The labelled slices, by position, if a support is of this very scan."""
        for support in self._prepared.supports:
            given = not support.predicted and support.axis == self._view.axes[0]
            if given and support.is_of(self._volume):
                labels = self._view.to_slices(support.labels.array)
                return {n: labels[n] for n in np.flatnonzero(labels.any((1, 2))).tolist()}
        return {}

    def _masks(self, labels: Array) -> Tensor:
        return self._frames.letterbox.fit_mask(structure_masks(labels, self._prepared.structures))

    def segment(self, progress: Progress) -> tuple[Array, Array]:
        """Labels (I, J, K) on the scan's grid, and confidence (N, K) in the file's slice order."""
        steps = _Steps(progress, 2 * len(self._frames), 2 * self._settled, self._passes)
        unknown = set(self._unknown)
        with self._clock.stage("propagation"):
            for result in self._predictions(steps.tick):
                if result.index in unknown:
                    self._keep(result)
                if not self._ends_following:
                    steps.tick()
        steps.finish()
        labels = self._without_absent()
        self._fill_given(labels)
        self._keep_given(labels)
        if self._settings.min_fragment:
            labels = remove_fragments(labels, self._settings.min_fragment)
            self._keep_given(labels)
        return self._view.to_array(labels), self._in_file_order(self._certainty)

    @property
    def _unknown(self) -> list[int]:
        """The slices of which something is to be found."""
        if self._from_itself:
            return list(range(len(self._frames)))
        return [index for index in range(len(self._frames)) if index not in self._given]

    def _predictions(self, tick: Callable[[float], None]) -> Iterator[SlicePrediction]:
        """What is found, slice by slice; ``tick`` is told of each slice on the way there."""
        if self._from_itself:
            return self._follow(self._given, self._settings.trim, tick)
        prompter = self._prepared.prompter(self._engine, self._queries, self._clock)
        prompter.prepare(self._unknown, lambda: tick(1))
        known = {index: self._masks(labels) for index, labels in self._given.items()}
        blend = self._blend(self._settings.carried)
        case = Case(self._engine, self._queries, prompter, blend, known, self._settings.trim)
        restore = self._frames.letterbox.restore
        first = (
            replace(found, logits=restore(found.logits))
            for found in propagate(case, self._settings.strategy)
        )
        if self._passes == 1:
            return first
        structures = self._prepared.structures
        return second_pass(
            first,
            structures,
            partial(self._follow, ends=False, tick=tick),
            lambda: tick(1),
        )

    def _follow(
        self, labelled: Mapping[int, Array], ends: bool, tick: Callable[[float], None]
    ) -> Iterator[SlicePrediction]:
        """Follow the structures from some slices; all the work is done before the first result."""
        settings = self._settings
        follower = Follower(
            self._engine,
            self._frames,
            self._prepared.structures,
            replace(self._blend(settings.followed), veto=self._veto or not ends),
            settings.looks_closer,
            settings.feature_budget,
            self._clock,
        )
        return follower.segment(labelled, ends, lambda share: tick(2 * share))

    @property
    def _ends_following(self) -> bool:
        """Whether the last thing that is done with a scan is to follow it."""
        return self._from_itself or self._passes > 1

    def _blend(self, weight: float) -> Blend:
        """One that gives the registered masks this weight."""
        return Blend(self._frames.letterbox.side, weight, self._settings.appearance)

    @property
    def _passes(self) -> int:
        return 1 if self._from_itself else self._settings.passes

    @property
    def _settled(self) -> int:
        """How many slices are not gone through."""
        return 0 if self._from_itself else len(self._given)

    def _shows_all(self) -> bool:
        """Whether the scan's own labelled slices show every structure."""
        shown = {value for labels in self._given.values() for value in np.unique(labels).tolist()}
        return all(structure.value in shown for structure in self._prepared.structures)

    def _without_absent(self) -> Array:
        """The labels without what lies beyond the ends of its structure."""
        unknown, settings = self._unknown, self._settings
        wanted = settings.trim and settings.search is Search.REGISTER
        if not (wanted and unknown) or self._from_itself:
            return self._labels
        odds = np.zeros(self._certainty.shape)
        figures = self._agreement[unknown], self._distance[unknown]
        odds[unknown] = evidence(*figures)
        beyond = self._beyond(odds)
        odds[unknown] = evidence(*figures, among=beyond[unknown] == 0)
        odds = unless_rivalled(unless_beyond(odds, beyond), self._shared)
        present = np.ones(odds.shape, bool)
        present[unknown] = stretches(odds[unknown])
        self._certainty = np.where(present, self._certainty, 1 / (1 + np.exp(odds)))
        return clear_absent(self._labels, self._second, present, self._prepared.structures)

    def _beyond(self, odds: Array) -> Array:
        """How far beyond its height each structure's slices (N, K) are, in radii."""
        step = self._view.spacing(self._volume.geometry)[0]
        return np.fmin.reduce([heights.beyond(odds, step) for heights in self._prepared.heights])

    def _fill_given(self, labels: Array) -> None:
        """Where labelled slices are not looked at, give them what goes through them.

        Its shape is interpolated; it is as certain as on the less certain side.
        """
        if self._from_itself:
            return
        for index, given in self._given.items():
            labels[index] = given
        pixel_mm = np.array(self._view.spacing(self._volume.geometry)[1:])
        through = {index: self._going_through(index, labels) for index in self._given}
        for index, values in through.items():
            if values:
                around = labels[index - 1], labels[index + 1]
                labels[index] = interpolate(*around, 1, pixel_mm)[0]
                columns = np.isin([s.value for s in self._prepared.structures], values)
                sides = self._certainty[index - 1], self._certainty[index + 1]
                self._certainty[index, columns] = np.minimum(*sides)[columns]

    def _keep_given(self, labels: Array) -> None:
        """Put the labels of labelled slices back.

        A structure that goes on to both sides of one, but is not labelled on it, stays there:
        it was labelled on others only.
        """
        through = {index: self._going_through(index, labels) for index in self._given}
        for index, given in self._given.items():
            other = np.where(np.isin(labels[index], through[index]), labels[index], 0)
            labels[index] = np.where(given, given, other)

    def _going_through(self, index: int, labels: Array) -> list[int]:
        """The structures on both sides of a labelled slice that it is not labelled with."""
        before, after = (
            np.union1d(labels[n], self._given.get(n, 0))
            for n in (max(index - 1, 0), min(index + 1, len(labels) - 1))
        )
        around = np.intersect1d(before, after)
        return np.setdiff1d(around, self._given[index]).tolist()

    def _keep(self, result: SlicePrediction) -> None:
        index = result.index
        with self._clock.stage("fusion"):
            found = fuse(result.logits, self._prepared.structures)
            self._labels[index], self._second[index] = found
            self._shared[index] = shared(result.logits > 0)
            self._certainty[index] = result.certainty
            self._chosen[index], self._distance[index] = result.match.chosen, result.match.distance
            if result.agreement is not None:
                self._agreement[index] = result.agreement

    def _in_file_order(self, rows: Array) -> Array:
        return rows[::-1] if self._view.flips[0] else rows

    def record(self) -> dict[str, Any]:
        """What was done, slice by slice, in the file's order."""
        order = self._in_file_order(np.arange(len(self._frames)))
        return {
            "scan": self._volume.location,
            "slice_axis": self._view.axes[0],
            "modality": self._settings.modality or modality_of(self._volume),
            "window": [self._frames.window.low, self._frames.window.high],
            "seconds": self._clock.report(),
            "slices": [self._slice_record(int(index)) for index in order],
        }

    def _slice_record(self, index: int) -> dict[str, Any]:
        position = self._view.file_index(self._volume.geometry, index)
        entry: dict[str, Any] = {"slice": position}
        if index in self._given:
            entry["given"] = True
            if not self._from_itself:
                return entry
        given = np.unique(self._given.get(index, 0))
        columns = self._chosen[index], self._distance[index], self._certainty[index]
        rows = zip(self._prepared.structures, *columns, strict=True)
        found = [
            {
                "name": structure.name,
                "value": structure.value,
                "confidence": round(float(certainty), 4),
                "distance": round(float(distance), 6),
                "support": self._origin(int(chosen)),
            }
            for structure, chosen, distance, certainty in rows
            if structure.value not in given
        ]
        return entry | ({"structures": found} if found else {})

    def _origin(self, chosen: int) -> dict[str, Any]:
        """What a match says of where it comes from."""
        if self._from_itself:
            position = self._view.file_index(self._volume.geometry, chosen)
            return {"scan": self._volume.name, "slice": position}
        return self._prepared.pool.describe(chosen)
