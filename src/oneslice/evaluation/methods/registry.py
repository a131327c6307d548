"""The methods by name. To add one: a file with a ``Method``, a name and a case here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from oneslice.evaluation.methods.base import Method

if TYPE_CHECKING:
    from oneslice.device import Device
    from oneslice.evaluation.methods.session import Session
    from oneslice.matching import Metric
    from oneslice.prompting import Search
    from oneslice.propagation import Strategy
    from oneslice.settings import Effort


class MethodName(StrEnum):
    """What can be run."""

    COPY = "copy"
    REGISTRATION = "registration"
    SAM2_PLAIN = "sam2-plain"
    PAPER = "paper"
    ONESLICE = "oneslice"

    @property
    def uses_model(self) -> bool:
        """Whether it needs a SAM 2 checkpoint."""
        return self not in (MethodName.COPY, MethodName.REGISTRATION)


@dataclass(frozen=True)
class Options:
    """What methods can be told; those without a network ignore all of it.

    Args:
        model: a checkpoint's name or path.
        image_size: side of the network's input; None: the checkpoint's own.
        device: where to run; None: the first of CUDA, MPS and CPU that is there.
        offline: never use the network.
        metric: how supports are matched to slices; None: by encoder features in ``paper``, as
            users get it in ``oneslice``.
        per_query: augmented copies for each query slice in ``paper`` (its N_T).
        strategy: how memories flow in ``oneslice``; None: as users get it.
        search: how supports come to resemble slices in ``oneslice``; None: as users get it.
        carried: weight of the registered masks in ``oneslice``; None: as users get it.
        appearance: likewise of intensities.
        trim: whether ``oneslice`` clears structures beyond their ends; None: as users get it.
        outward: whether it follows a scan from its own labelled slices; likewise.
        closeup: whether it looks at a small part of the slices alone; likewise.
        effort: how much it does for a result; likewise.
        seed: of the augmentations.
    """

    model: str = "mini"
    image_size: int | None = None
    device: Device | None = None
    offline: bool = False
    metric: Metric | None = None
    per_query: int = 2
    strategy: Strategy | None = None
    search: Search | None = None
    carried: float | None = None
    appearance: float | None = None
    trim: bool | None = None
    outward: bool | None = None
    closeup: bool | None = None
    effort: Effort | None = None
    seed: int = 0


@dataclass
class MethodMaker:
    """Makes methods; those with the same checkpoint and input size share one ``Session``."""

    _sessions: dict[tuple[str, int | None], Session] = field(default_factory=dict)

    def make(self, name: MethodName, options: Options) -> Method:
        """A method, its checkpoint loaded.

        Raises:
            ModelError: the checkpoint is unknown, missing or corrupt.
            OfflineError: something must be downloaded first.
            InputError: an option cannot be used.

        """
        match name:
            case MethodName.COPY:
                from oneslice.evaluation.methods.copying import Copy

                return Copy()
            case MethodName.REGISTRATION:
                from oneslice.evaluation.methods.registration import Registration

                return Registration()
            case MethodName.SAM2_PLAIN:
                from oneslice.evaluation.methods.sam2_plain import Sam2Plain

                return Sam2Plain(self._session(options))
            case MethodName.PAPER:
                from oneslice.evaluation.methods.paper import Paper

                return Paper(self._session(options), options)
            case MethodName.ONESLICE:
                from oneslice.evaluation.methods.default_pipeline import DefaultPipeline

                return DefaultPipeline(options)

    def native_size(self, options: Options) -> int:
        """The input size that the checkpoint was trained at."""
        return self._session(replace(options, image_size=None)).engine.image_size

    def _session(self, options: Options) -> Session:
        from oneslice.evaluation.methods.session import Session

        key = options.model, options.image_size
        if key not in self._sessions:
            self._sessions[key] = Session(options)
        return self._sessions[key]
