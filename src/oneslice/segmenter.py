"""The Segmenter: one labelled slice in, segmented scans out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

import oneslice
from oneslice.arguments import (
    as_supports,
    as_volume,
    query_view,
    warn_of_kinds,
    warn_of_labels,
)
from oneslice.body import Body
from oneslice.choices import Device
from oneslice.clock import Stopwatch
from oneslice.closeup import CloseUp
from oneslice.completion import complete, incomplete
from oneslice.device import resolve
from oneslice.errors import InputError
from oneslice.geometry import SliceView
from oneslice.matching import make_descriptor
from oneslice.prepared import PreparedSupports, prepare
from oneslice.provenance import versions
from oneslice.region import Region
from oneslice.run import Progress, ScanRun
from oneslice.sam2.checkpoints import load_model
from oneslice.sam2.engine import Engine
from oneslice.segmentation import Segmentation
from oneslice.settings import Settings
from oneslice.stride import Stride
from oneslice.support import Support, all_structures, by_scan, with_given
from oneslice.volume import LabelMap, Volume

_Key = tuple[tuple[Support, ...], int]
_TURN = RLock()  # PyTorch's threads and precision are the process's, what is kept the Segmenter's


@dataclass(frozen=True)
class Outcome:
    """What became of one scan of a batch: a segmentation or an error."""

    scan: Volume | str | Path
    segmentation: Segmentation | None
    error: Exception | None


class Segmenter:
    """Segments scans from labelled slices with one SAM 2 checkpoint, without training.

    Args:
        model: ``mini``, the short name of a downloaded checkpoint, a folder or a file.
        device: where to run.
        settings: how to segment.
        image_size: side of the network's input, a multiple of 32; None: the checkpoint's own.
        offline: never use the network.

    Raises:
        ModelError: the checkpoint is unknown, missing or corrupt.
        OfflineError: something must be downloaded first.
        InputError: the device is not there, or an option cannot be used.
    """

    def __init__(
        self,
        model: str | Path = "mini",
        device: Device | str = Device.AUTO,
        settings: Settings | None = None,
        *,
        image_size: int | None = None,
        offline: bool = False,
    ) -> None:
        if settings is not None and not isinstance(settings, Settings):
            raise InputError(f"settings {settings!r}: give Settings(...)")
        self._settings = settings or Settings()
        target = resolve(device)
        network, self.checkpoint = load_model(
            model, offline=offline, image_size=image_size, device=target
        )
        self._engine = Engine(network)
        self._descriptor = make_descriptor(self._settings.metric, offline)
        self._given: tuple[tuple[Support, ...], tuple[Support, ...]] | None = None
        self._prepared: tuple[_Key, PreparedSupports] | None = None
        self._looks: tuple[tuple[Support, ...], CloseUp | None, Body | None] | None = None
        self._completed: dict[Support, Support | None] = {}  # what was found in their own scans

    @property
    def settings(self) -> Settings:
        """How it segments."""
        return self._settings

    @property
    def image_size(self) -> int:
        """Side of the network's input."""
        return self._engine.image_size

    def segment(
        self,
        scan: Volume | str | Path,
        support: Support | Sequence[Support],
        *,
        axis: int | None = None,
        progress: Progress | None = None,
    ) -> Segmentation:
        """Segment every slice of a scan. Threads of a process take turns.

        Args:
            scan: a volume, or a path to read it from.
            support: labelled slices of one scan, or of several; where two supports of one scan
                label the same pixels, the later counts.
            axis: the slice axis of the scan; None: the one that fits the support.
            progress: called with (steps done, steps in all); each slice takes two, those of a
                support's own scan too where few of them are labelled: it is segmented first, once.

        Returns:
            Labels on the scan's own grid. If the scan is a support's own, its labelled slices are
            kept as given.
        """
        supports, volume = as_supports(support), as_volume(scan)
        with _TURN:
            return self._turn(volume, supports, axis, progress or _silent)

    def _turn(
        self,
        volume: Volume,
        supports: tuple[Support, ...],
        axis: int | None,
        progress: Progress,
    ) -> Segmentation:
        given = self._by_scan(supports)
        warn_of_labels(volume)
        warn_of_kinds(volume, given[0].image, self._settings)
        view = query_view(volume, given[0], axis)
        found = self._find(volume, view, given, progress)
        crossing = [s for s in given if s.axis != view.axes[0] and s.is_of(volume)]
        array = with_given(found.array, crossing)
        record = {"supports": [each.describe() for each in supports]} | found.record
        labels = replace(found.labels, array=array, series=volume.series)
        return replace(found, labels=labels, record=record)

    def _find(
        self,
        volume: Volume,
        view: SliceView,
        supports: tuple[Support, ...],
        progress: Progress,
    ) -> Segmentation:
        """Segment a scan, or only the part of it that shows what is labelled."""
        clock, slices = Stopwatch(), volume.geometry.shape[view.axes[0]]
        self._completed = {s: more for s, more in self._completed.items() if s in supports}
        own = tuple(s for s in supports if s.axis == view.axes[0] and s.is_of(volume))
        structures = all_structures(supports)
        if self._settings.follows_own and all(any(s.shows(k) for s in own) for k in structures):
            supports = own
        with clock.stage("completion"):
            others = [each for each in supports if each not in own]
            progress = self._complete(others, slices, progress)
        supports += tuple(more for each in others if (more := self._completed[each]))
        if own:
            return self._segment(volume, view, supports, progress, clock)
        with clock.stage("close-up"):
            region, supports = self._look_closer(volume, view, supports)
        if region is None:
            return self._segment_some(volume, view, supports, progress, clock)
        part = self._segment_some(region.cut(volume), view, supports, progress, clock)
        array = region.paste(part.array, volume.geometry.shape)
        labels = LabelMap(array, volume.geometry, part.structures, volume.name)
        return replace(part, labels=labels, record=part.record | {"region": region.describe()})

    def _by_scan(self, supports: tuple[Support, ...]) -> tuple[Support, ...]:
        """One support for each scan; the last ones are kept for the next query."""
        if not supports:
            raise InputError("no support given: at least one labelled slice is needed")
        if self._given is None or self._given[0] != supports:
            self._given = supports, by_scan(supports)
        return self._given[1]

    def _look_closer(
        self, volume: Volume, view: SliceView, supports: tuple[Support, ...]
    ) -> tuple[Region | None, tuple[Support, ...]]:
        """The part of another scan that is looked at, None: all of it; and that of the supports.

        What was found of the supports is kept for the next scan.
        """
        if not self._settings.looks_closer:
            return None, supports
        if self._looks is None or self._looks[0] != supports:
            settings = self._settings
            self._looks = supports, CloseUp.of(supports, settings), Body.of(supports, settings)
        _, closeup, body = self._looks
        if closeup and (region := closeup.find(volume, view)):
            return region, closeup.supports
        return (body.find(volume, view), body.supports) if body else (None, supports)

    def _segment_some(
        self,
        volume: Volume,
        view: SliceView,
        supports: tuple[Support, ...],
        progress: Progress,
        clock: Stopwatch,
    ) -> Segmentation:
        """Segment a scan by some of its slices where they are thin."""
        stride = Stride.over(volume.geometry, view, supports)
        enough = stride.step > 1 and not stride.region.is_blank(volume)
        if not (enough and self._settings.strides):
            return self._segment(volume, view, supports, progress, clock)
        total = 2 * volume.geometry.shape[view.axes[0]]
        some = self._segment(
            stride.region.cut(volume),
            view,
            supports,
            lambda steps, of: progress(steps * total // of, total),
            clock,
        )
        return stride.fill(some, volume.geometry)

    def _segment(
        self,
        volume: Volume,
        view: SliceView,
        supports: tuple[Support, ...],
        progress: Progress,
        clock: Stopwatch,
        veto: bool = False,
    ) -> Segmentation:
        with clock.stage("supports"):
            prepared = self._prepare(supports, volume.geometry.shape[view.axes[0]], clock)
        run = ScanRun(self._engine, volume, view, prepared, self._settings, clock, veto)
        labels, certainty = run.segment(progress)
        record = {"oneslice": oneslice.__version__} | self._environment() | run.record()
        return Segmentation(
            LabelMap(labels, volume.geometry, prepared.structures, volume.name),
            certainty,
            view.axes[0],
            record,
        )

    def _complete(self, supports: Sequence[Support], slices: int, progress: Progress) -> Progress:
        """Segment the supports' own scans where few slices are labelled, unless that was done.

        What the network calls absent is not found there: a support must not show too much.

        Returns:
            The progress of what remains: a scan of ``slices`` slices.
        """
        missing = [s for s in supports if s not in self._completed]
        parts = {s: incomplete(s) if self._settings.completes else None for s in missing}
        total = 2 * (slices + sum(s.slice_count for s, part in parts.items() if part))
        done = 0
        for support, part in parts.items():
            more = None
            if part:
                step = _after(done, total, progress)
                own = self._segment(part.image, part.view, (part,), step, Stopwatch(), veto=True)
                more = complete(part, own.labels)
                done += 2 * support.slice_count
            self._completed[support] = more  # not before it is done: it may fail, or be stopped
        return _after(done, total, progress)

    def _environment(self) -> dict[str, Any]:
        return {
            "versions": versions(),
            "device": str(self._engine.device),
            "checkpoint": {"name": self.checkpoint.name, "sha256": self.checkpoint.sha256},
            "image_size": self.image_size,
            "settings": self._settings.describe(),
        }

    def segment_many(
        self,
        scans: Iterable[Volume | str | Path],
        support: Support | Sequence[Support],
        *,
        axis: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Outcome]:
        """Segment scans one after another, each when it is asked for, as ``segment`` does.

        A scan that fails does not stop the others.
        """
        if isinstance(scans, str | Path | Volume):
            raise InputError("scans: give a list, even of one; or use segment")
        supports = as_supports(support)
        return (self._outcome(scan, supports, axis, progress) for scan in scans)

    def _outcome(
        self,
        scan: Volume | str | Path,
        supports: tuple[Support, ...],
        axis: int | None,
        progress: Progress | None,
    ) -> Outcome:
        try:
            return Outcome(scan, self.segment(scan, supports, axis=axis, progress=progress), None)
        except Exception as error:  # whatever it is, the other scans must not suffer
            return Outcome(scan, None, error)

    def _prepare(
        self, supports: tuple[Support, ...], query_slices: int, clock: Stopwatch
    ) -> PreparedSupports:
        """The supports made ready; the last ones are kept for the next scan."""
        size = self._settings.pool_size(query_slices)
        key = (supports, size)  # supports are compared by identity
        if self._prepared is None or self._prepared[0] != key:
            ready = prepare(self._engine, self._descriptor, supports, self._settings, size, clock)
            self._prepared = key, ready
        return self._prepared[1]


def _after(done: int, total: int, progress: Progress) -> Progress:
    """The progress of a part of the work that begins when ``done`` of ``total`` steps are."""
    return lambda steps, _: progress(done + steps, total)


def _silent(done: int, total: int) -> None:
    """Report nothing."""
