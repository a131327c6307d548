"""What makes a run repeatable: hashes of the data, versions of the software."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PACKAGES = ("oneslice", "monai", "nibabel", "numpy", "scipy", "SimpleITK", "torch", "transformers")


def versions() -> dict[str, str]:
    """Python, the system, and the packages that figures depend on."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def data_hash(files: Iterable[Path]) -> str:
    """SHA-256 over the content of files, and of all files below folders."""
    digest = hashlib.sha256()
    for path in files:
        members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for member in members:
            with member.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def array_hash(arrays: Iterable[NDArray[Any]], words: str = "") -> str:
    """SHA-256 over the kinds, shapes and values of arrays, and over some words."""
    digest = hashlib.sha256(words.encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        for part in array:  # no copy of a whole scan
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
