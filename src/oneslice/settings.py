"""The choices that make a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from oneslice.augment import AugmentationPolicy, Augmentations
from oneslice.checks import number, whole
from oneslice.choices import Effort, Metric, Modality, Search, Strategy, choose
from oneslice.errors import InputError
from oneslice.frames import Frames, Window, window_of
from oneslice.geometry import SliceView
from oneslice.volume import Volume

_CHOICES = (
    ("effort", Effort),
    ("search", Search),
    ("strategy", Strategy),
    ("metric", Metric),
    ("modality", Modality),
)
_FRACTIONS = ("min_fragment", "carried", "followed", "appearance")
_SWITCHES = ("trim", "outward", "closeup", "every_slice")


@dataclass(frozen=True)
class Settings:
    """How scans are segmented; the defaults are meant to be left alone.

    Args:
        search: how supports come to resemble the slices they are matched to.
        carried: weight, 0 to 1, of the registered masks themselves beside the network's, where
            labelled slices of another scan are registered.
        followed: the same where a scan is followed from its own: what is near fits better.
        appearance: weight of what the scan's own intensities say for each structure; needs
            registration, which tells them.
        strategy: how memories flow over the slices.
        trim: whether structures are cleared from slices beyond their ends, which registration
            tells; nothing is cleared without it.
        outward: whether a scan whose own slices are labelled is followed from them, each slice from
            the one before; needs registration.
        closeup: whether only the part of the slices in which structures lie is looked at, if it is
            a small one: that of each structure in the labelled scan, that of all in another; else
            in another scan the part that shows the body. Needs registration.
        every_slice: whether every slice of a scan is looked at, however thin; if not, some are, and
            shapes are interpolated between them. A scan that is followed, and all without
            registration, is looked at slice by slice.
        effort: how much is done for a result.
        metric: how the likeness of supports and slices is measured.
        augmentations: how many augmented copies of each labelled slice the pool search makes.
        policy: how far the augmentations go.
        min_fragment: components smaller than this fraction of their structure's largest one are
            removed; 0 keeps all.
        window: intensities shown as black and white, for supports and queries; None: by modality.
        modality: overrides what the files say.
        seed: the same seed gives the same result.
        memory: MiB for encoder features that are kept instead of computed again.
    """

    search: Search = Search.REGISTER
    carried: float = 0.45
    followed: float = 0.5
    appearance: float = 0.5
    strategy: Strategy = Strategy.NEIGHBOURS
    trim: bool = True
    outward: bool = True
    closeup: bool = True
    every_slice: bool = False
    effort: Effort = Effort.DEFAULT
    metric: Metric = Metric.ENCODER
    augmentations: Augmentations = field(default_factory=Augmentations)
    policy: AugmentationPolicy = field(default_factory=AugmentationPolicy)
    min_fragment: float = 0.0
    window: Window | None = None
    modality: Modality | None = None
    seed: int = 0
    memory: int = 1024

    def __post_init__(self) -> None:
        for name, kind in _CHOICES:
            value = getattr(self, name)
            if value is not None or name != "modality":
                object.__setattr__(self, name, choose(kind, value, name))
        for name in _FRACTIONS:
            object.__setattr__(self, name, number(getattr(self, name), name, 0, 1))
        object.__setattr__(self, "seed", whole(self.seed, "seed", 0, 2**32 - 1))
        object.__setattr__(self, "memory", whole(self.memory, "memory (MiB)", 1))
        self._check_types()

    def _check_types(self) -> None:
        if not isinstance(self.window, Window | None):
            raise InputError(f"window {self.window!r}: give Window.parse('lung') or Window(0, 400)")
        if not isinstance(self.augmentations, Augmentations):
            raise InputError(f"augmentations {self.augmentations!r}: give Augmentations(16)")
        if not isinstance(self.policy, AugmentationPolicy):
            raise InputError(f"policy {self.policy!r}: give AugmentationPolicy(...)")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is True or False, not {getattr(self, name)!r}")

    def pool_size(self, query_slices: int) -> int:
        """Pool entries for each labelled slice; registration starts from the slice itself."""
        if self.search is Search.REGISTER:
            return 1
        return self.augmentations.pool_size(query_slices)

    def frames(self, volume: Volume, view: SliceView, size: int) -> Frames:
        """A volume's slices as frames of ``size`` pixels, in the window that it is shown in.

        Raises:
            InputError: the window shows nothing of it.
        """
        return Frames(volume, view, window_of(volume, self.window, self.modality), size)

    @property
    def follows_own(self) -> bool:
        """Whether a scan with labelled slices of its own is followed from them."""
        return self.outward and self.search is Search.REGISTER

    @property
    def completes(self) -> bool:
        """Whether supports with few labelled slices are completed in their own scan first."""
        return self.effort is not Effort.FAST and self.search is Search.REGISTER

    @property
    def looks_closer(self) -> bool:
        """Whether small parts of the slices are looked at alone."""
        return self.closeup and self.search is Search.REGISTER

    @property
    def strides(self) -> bool:
        """Whether some slices of a thin-sliced scan stand for all."""
        return not self.every_slice and self.search is Search.REGISTER

    @property
    def passes(self) -> int:
        """How often a scan is gone through."""
        return 2 if self.effort is Effort.BEST and self.search is Search.REGISTER else 1

    @property
    def feature_budget(self) -> int:
        """Bytes for the features of supports, and as many for those of the query."""
        return self.memory * 2**20 // 2

    def describe(self) -> dict[str, Any]:
        """The settings as plain values for a record."""
        window = None if self.window is None else [self.window.low, self.window.high]
        return {
            "search": self.search.value,
            "carried": self.carried,
            "followed": self.followed,
            "appearance": self.appearance,
            "strategy": self.strategy.value,
            "trim": self.trim,
            "outward": self.outward,
            "closeup": self.closeup,
            "every_slice": self.every_slice,
            "effort": self.effort.value,
            "metric": self.metric.value,
            "augmentations": str(self.augmentations),
            "policy": asdict(self.policy),
            "min_fragment": self.min_fragment,
            "window": window,
            "modality": self.modality,
            "seed": self.seed,
        }
