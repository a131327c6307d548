"""The words that people choose between; a light module, so that ``--help`` can name them."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from oneslice.errors import InputError

Kind = TypeVar("Kind", bound=StrEnum)


def choose(kind: type[Kind], word: Kind | str, what: str) -> Kind:
    """The member of ``kind`` that a word names.

    Raises:
        InputError: there is none; the message says ``what`` was chosen and lists the members.
    """
    if word not in list(kind):
        raise InputError(f"{what} {word!r}: choose one of {', '.join(kind)}")
    return kind(word)


class Device(StrEnum):
    """Where the network runs. AUTO: the first of CUDA, MPS and CPU that is there."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Effort(StrEnum):
    """How much is done for a result, where labelled slices are registered.

    DEFAULT: supports with few labelled slices are completed in their own scan first. FAST: they are
    not. BEST: they are, and scans are segmented in two passes.
    """

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


class Format(StrEnum):
    """What a label map can be written as."""

    NIFTI = "nifti"
    NRRD = "nrrd"
    SEG_NRRD = "seg.nrrd"
    MHA = "mha"
    DICOM_SEG = "seg.dcm"

    @property
    def suffix(self) -> str:
        """The suffix of files in this format, with its dot."""
        return ".nii.gz" if self is Format.NIFTI else f".{self.value}"


class Metric(StrEnum):
    """How the likeness of two slices is measured."""

    LPIPS = "lpips"
    ENCODER = "encoder"
    SSIM = "ssim"
    NCC = "ncc"


class Modality(StrEnum):
    """What decides how intensities are scaled."""

    CT = "ct"
    MR = "mr"
    OTHER = "other"


class Search(StrEnum):
    """How a support comes to resemble a query slice.

    POOL: it is the most alike of its random augmentations (the paper). REGISTER: it is registered
    onto the slice, image and masks together.
    """

    POOL = "pool"
    REGISTER = "register"


class Strategy(StrEnum):
    """What a slice sees beside its support.

    PAIRWISE: nothing (the paper). SEQUENCE: what was found on the slices before it. NEIGHBOURS:
    what was found, seeing nothing, on the slices on either side of it.
    """

    PAIRWISE = "pairwise"
    SEQUENCE = "sequence"
    NEIGHBOURS = "neighbours"
