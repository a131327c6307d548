"""What ``oneslice doctor`` finds out about this machine; nothing here prints."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from oneslice import __version__, config
from oneslice.errors import OneSliceError

GIB = 2**30


@dataclass
class Problem:
    """Something that is missing or broken, and how to mend it."""

    what: str
    fix: str


@dataclass
class Diagnosis:
    """The state of this machine as far as oneslice is concerned.

    Args:
        problems: what must be mended before oneslice can work.
        advice: what would make it work better.
    """

    versions: dict[str, str | None] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, float | None] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    default_model: str | None = None
    folders: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Look at the packages, the device, the memory, the models and the folders."""
    diagnosis = Diagnosis()
    for look in (_versions, _device, _memory, _folders, _models, _default_model):
        try:
            look(diagnosis)
        except OneSliceError as error:
            what, _, fix = str(error).partition(": ")
            problem = Problem(what, fix or "see `oneslice --help`")
            if problem not in diagnosis.problems:
                diagnosis.problems.append(problem)
    return diagnosis


def _versions(diagnosis: Diagnosis) -> None:
    diagnosis.versions = {"python": platform.python_version(), "oneslice": __version__}
    for requirement in _requirements():
        name, version = requirement.name, _version(requirement.name)
        diagnosis.versions[name] = version
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            state = "is not installed" if version is None else f"is of version {version}"
            problem = Problem(f"the package {name} {state}", f"pip install '{requirement}'")
            diagnosis.problems.append(problem)


def _requirements() -> list[Any]:
    """The packages that oneslice declares, as far as they concern this machine."""
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(text) for text in metadata.requires("oneslice") or ()]
    except metadata.PackageNotFoundError:
        return []
    return [each for each in declared if each.marker is None or each.marker.evaluate()]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device(diagnosis: Diagnosis) -> None:
    diagnosis.device = {"processor": platform.machine(), "system": platform.system()}
    try:
        import torch
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall torch"
        diagnosis.problems.append(Problem(f"torch does not start ({error})", fix))
        return
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    diagnosis.device |= {
        "cpu threads": torch.get_num_threads(),
        "cuda": gpus,
        "mps": torch.backends.mps.is_available(),
    }


def _memory(diagnosis: Diagnosis) -> None:
    diagnosis.memory = {"total GiB": _total_memory(), "available GiB": _available_memory()}


def _total_memory() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _available_memory() -> float | None:
    if sys.platform != "linux":
        return None
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return round(int(values["MemAvailable"].split()[0]) * 1024 / GIB, 1)


def _folders(diagnosis: Diagnosis) -> None:
    from oneslice.sam2 import hub

    cache = hub.cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    diagnosis.folders = {
        "settings": str(config.config_folder()),
        "model cache": str(cache),
        "free for models": f"{shutil.disk_usage(existing).free / GIB:.1f} GiB",
    }


def _models(diagnosis: Diagnosis) -> None:
    from oneslice.sam2.catalogue import catalogue
    from oneslice.sam2.registry import MINI

    entries = catalogue()
    diagnosis.models = [entry.name for entry in entries if entry.path]
    if diagnosis.models == [MINI]:
        diagnosis.advice.append(
            "only the shipped mini is here; a larger model gives better masks: "
            "oneslice models download sam2.1-large"
        )


def _default_model(diagnosis: Diagnosis) -> None:
    from oneslice.sam2.catalogue import model_in_use
    from oneslice.sam2.checkpoints import load_model

    diagnosis.default_model = model_in_use()
    load_model(diagnosis.default_model)
