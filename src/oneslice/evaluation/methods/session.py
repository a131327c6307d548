"""One checkpoint and the features of the scans at hand, shared by methods and structures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from oneslice.clock import Stopwatch
from oneslice.device import resolve
from oneslice.encoded import EncodedFrames
from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.options import Options
from oneslice.frames import Frames, Window
from oneslice.sam2.checkpoints import load_model
from oneslice.sam2.engine import Engine
from oneslice.volume import Volume

_SCANS_KEPT = 2
_BUDGET = 2**30  # bytes of features for each scan


@dataclass(frozen=True)
class EncodedScan:
    """A scan on the network's grid.

    Args:
        volume: whose it is.
        frames: its slices.
        encoded: their features.
    """

    volume: Volume
    frames: Frames
    encoded: EncodedFrames


class Session:
    """A loaded checkpoint."""

    def __init__(self, options: Options) -> None:
        network, self._checkpoint = load_model(
            options.model,
            offline=options.offline,
            image_size=options.image_size,
            device=resolve(options.device),
        )
        self.engine = Engine(network)
        self._scans: OrderedDict[int, EncodedScan] = OrderedDict()

    def scan(self, stack: Stack) -> EncodedScan:
        """The scan with its features; those of the last scans are kept."""
        key = id(stack.volume)
        if key not in self._scans:
            window = Window.of(stack.volume)
            frames = Frames(stack.volume, stack.view, window, self.engine.image_size)
            encoded = EncodedFrames(self.engine, frames, _BUDGET, Stopwatch())
            self._scans[key] = EncodedScan(stack.volume, frames, encoded)
        self._scans.move_to_end(key)
        while len(self._scans) > _SCANS_KEPT:
            self._scans.popitem(last=False)
        return self._scans[key]

    def describe(self) -> dict[str, Any]:
        """The checkpoint, for a manifest."""
        return {
            "model": self._checkpoint.name,
            "sha256": self._checkpoint.sha256,
            "image_size": self.engine.image_size,
        }
