"""What prompts a query slice: memories of the supports that were matched to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.pool import SupportPool
from oneslice.registration import refine, register, warp
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory


class Search(StrEnum):
    """How a support comes to resemble a query slice.

    POOL: it is the most alike of its random augmentations (the paper). REGISTER: it is registered
    onto the slice, image and masks together.
    """

    POOL = "pool"
    REGISTER = "register"


@dataclass(frozen=True)
class Prompt:
    """What is known of K structures before a slice is segmented.

    Args:
        memory: of each structure on its support.
        carried: (K, S, S) in [0, 1], the support's masks where registration puts them on the
            slice; None without registration.
    """

    memory: Memory
    carried: Tensor | None = None


class Prompter(ABC):
    """Makes prompts from the pool."""

    @abstractmethod
    def prompt(self, image: Tensor, chosen: Tensor, clock: Stopwatch) -> Prompt:
        """The prompt for a query slice (1, S, S) to which the entries (K,) were matched.

        Seconds are added to the stages of ``clock``.
        """


class PoolPrompter(Prompter):
    """Prompts by the matched entries themselves; each memory is made at its first match.

    Args:
        limit: how many memories are kept; beyond it the oldest is dropped.
    """

    def __init__(
        self, engine: Engine, pool: SupportPool, encoded: EncodedFrames, limit: int = 1024
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._encoded = encoded
        self._limit = limit
        self._memories: OrderedDict[tuple[int, int], Memory] = OrderedDict()

    def prompt(self, image: Tensor, chosen: Tensor, clock: Stopwatch) -> Prompt:
        """The memory of each structure k in the entry ``chosen[k]``."""
        keys = [(int(entry), structure) for structure, entry in enumerate(chosen)]
        self._remember([key for key in keys if key not in self._memories])
        recalled = Memory.stack([self._memories[key] for key in keys])
        for key in keys:
            self._memories.move_to_end(key)
        while len(self._memories) > max(self._limit, len(keys)):
            self._memories.popitem(last=False)
        return Prompt(recalled)

    def _remember(self, missing: list[tuple[int, int]]) -> None:
        for entry in dict.fromkeys(entry for entry, _ in missing):
            structures = [structure for e, structure in missing if e == entry]
            features = self._encoded.features([entry] * len(structures))
            memory = self._engine.remember(features, self._pool.masks(entry)[structures])
            for number, structure in enumerate(structures):
                self._memories[entry, structure] = memory.select([number])


class RegisteringPrompter(Prompter):
    """Prompts by the matched entries registered onto the slice.

    A structure that registration moves out of the frame is prompted where it was.
    """

    def __init__(self, engine: Engine, pool: SupportPool) -> None:
        self._engine = engine
        self._pool = pool

    def prompt(self, image: Tensor, chosen: Tensor, clock: Stopwatch) -> Prompt:
        """One registration for each entry, shared by its structures."""
        entries, place = chosen.unique(return_inverse=True)
        images = torch.stack([self._pool[int(entry)] for entry in entries])
        masks = torch.stack([self._pool.masks(int(entry)) for entry in entries])
        given = masks[place, torch.arange(len(chosen))]
        with clock.stage("registration"):
            whole = register(image.expand(len(entries), -1, -1, -1), images)
            local = refine(image, images[place], given, whole[place])
        with clock.stage("encoding"):
            features = self._engine.encode(warp(images, whole))
        prompts = (warp(given[:, None], whole[place])[:, 0] >= 0.5).float()
        inside = prompts.flatten(1).any(1)[:, None, None]
        prompts = torch.where(inside, prompts, given)
        memory = self._engine.remember(features.select(place), prompts)
        return Prompt(memory, warp(given[:, None], local)[:, 0])
