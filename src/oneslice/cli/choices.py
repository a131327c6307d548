"""Options that take one of a few words."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from oneslice.errors import InputError

Kind = TypeVar("Kind", bound=Enum)


def choice(kind: type[Kind], text: str, option: str) -> Kind:
    """The member of ``kind`` that ``text`` names.

    Raises:
        InputError: there is none; the message lists those that are.
    """
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise InputError(f"{option} {text!r}: choose one of {known}") from None
