"""Errors that a user can mend, and warnings; each message says what to do."""


def first_line(error: Exception) -> str:
    """What a library's error says, without its details."""
    lines = str(error).splitlines()
    return lines[0].rstrip(":") if lines else type(error).__name__


class OneSliceError(Exception):
    """Base of every error that oneslice raises on purpose."""


class InputError(OneSliceError):
    """A file, array or option that cannot be used as it is."""


class OneSliceWarning(UserWarning):
    """Something that a user should know of; the work goes on."""


class ModelError(OneSliceError):
    """A checkpoint that is unknown, missing, corrupt or not of the SAM 2 family."""


class OfflineError(OneSliceError):
    """A download is needed and there is no network, or ``--offline`` forbids it."""
