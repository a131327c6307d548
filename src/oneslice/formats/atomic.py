"""Files that are either whole or absent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from oneslice.errors import InputError
from oneslice.formats.suffixes import suffix_of


@contextmanager
def atomic_path(target: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it on success, remove it on failure.

    The temporary name is hidden and ends with the target's full suffix, so that writers that go
    by the suffix work. Missing parent folders are made.

    Raises:
        InputError: the target exists and ``overwrite`` is false, or is a folder; its own folder
            cannot be written, or the disk is full.

    """
    suffix = suffix_of(target) or target.suffix
    temporary = target.with_name(f".{secrets.token_hex(6)}.partial{suffix}")
    try:
        if target.is_dir():
            raise InputError(f"{target}: cannot be written (there is a folder of that name)")
        refuse_taken(target, overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{target}: cannot be written ({reason}); nothing was left") from error
    finally:
        with suppress(OSError):  # whatever keeps it from being removed was reported above
            temporary.unlink(missing_ok=True)


def refuse_taken(target: Path, overwrite: bool) -> None:
    """Raise if a file is there already; to be asked before long work, too.

    Raises:
        InputError: the target exists and ``overwrite`` is false.

    """
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; add --overwrite to replace it")


def write_text_atomically(target: Path, text: str, overwrite: bool) -> None:
    """Write UTF-8 text so that the file is either whole or absent.

    Raises:
        InputError: as ``atomic_path``.

    """
    with atomic_path(target, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")
