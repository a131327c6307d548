"""Official checkpoints in the hub's cache on this machine, and their download on request."""

from __future__ import annotations

import errno
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from oneslice import config
from oneslice.errors import ModelError, OfflineError
from oneslice.sam2.registry import OfficialModel
from oneslice.sam2.weights_file import file_hash

FILES = ("config.json", "model.safetensors")
WEIGHTS = FILES[-1]
PROBE_SECONDS = 5.0


def cache_folder() -> Path:
    """The folder in which the hub's client keeps what it has downloaded."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_folder(model: OfficialModel) -> Path | None:
    """The folder of a downloaded checkpoint, or None; never goes to the network."""
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(model.repository, name, cache_folder(), model.revision)
        for name in FILES
    ]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(FILES) else None


def download(model: OfficialModel, *, offline: bool = False) -> Path:
    """Download a checkpoint, check its hash and return its folder.

    Raises:
        OfflineError: the network is forbidden or cannot be reached.
        ModelError: the hub has no such files, the disk is full or the hash is not the known one.
    """
    folder = cached_folder(model)
    if folder is None:
        _require_network(model, offline)
        folder = _fetch(model)
    _check_download(model, folder / WEIGHTS)
    return folder


def expected_hash(model: OfficialModel) -> str | None:
    """The hash that the weights must have: the published one, or that of the first download."""
    return model.sha256 or config.recorded_hash(model.name)


def check_hash(model: OfficialModel, sha256: str) -> None:
    """Refuse weights that are not those that the name stands for.

    Raises:
        ModelError: the hash differs from the expected one.
    """
    expected = expected_hash(model)
    if expected is not None and sha256 != expected:
        raise ModelError(
            f"the weights of {model.name} are damaged or were changed (SHA-256 {sha256[:12]}... "
            f"instead of {expected[:12]}...): run `oneslice models download {model.name}` to "
            "fetch them again"
        )


def by_hand(model: OfficialModel) -> str:
    """How to bring a checkpoint to a machine that has no network."""
    return (
        f"copy {FILES[0]} and {FILES[1]} of {model.repository} from a machine with a network into "
        "a folder here, then pass that folder as the model"
    )


def _require_network(model: OfficialModel, offline: bool) -> None:
    from huggingface_hub import constants

    if offline or constants.HF_HUB_OFFLINE:
        raise OfflineError(
            f"{model.name} is not downloaded and offline mode forbids it: allow the network, or "
            + by_hand(model)
        )
    if not _reachable(constants.ENDPOINT):
        raise _unreachable(model)


def _reachable(endpoint: str) -> bool:
    """Whether the hub answers; the hub's own client takes half a minute to find that out."""
    if urllib.request.getproxies():
        return True
    address = urlsplit(endpoint)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _unreachable(model: OfficialModel) -> OfflineError:
    return OfflineError(
        f"{model.name} cannot be downloaded, the hub is not reachable: check the network, or "
        + by_hand(model)
    )


def _fetch(model: OfficialModel) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError

    try:
        for name in FILES:
            path = hf_hub_download(model.repository, name, revision=model.revision)
    except LocalEntryNotFoundError as error:
        raise _unreachable(model) from error
    except HfHubHTTPError as error:
        raise ModelError(
            f"the hub refuses {model.repository} at revision {model.revision}: try again later, or "
            + by_hand(model)
        ) from error
    except (HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ModelError(f"the disk of {cache_folder()} is full: make room there") from error
        raise _unreachable(model) from error
    return Path(path).parent


def _check_download(model: OfficialModel, weights: Path) -> None:
    sha256 = file_hash(weights)
    try:
        check_hash(model, sha256)
    except ModelError:
        weights.resolve().unlink()
        weights.unlink(missing_ok=True)
        raise
    if model.sha256 is None:
        config.record_hash(model.name, sha256)
