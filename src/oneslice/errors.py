"""Errors that a user can mend; each message says what to do."""


class OneSliceError(Exception):
    """Base of every error that oneslice raises on purpose."""


class InputError(OneSliceError):
    """A file, array or option that cannot be used as it is."""


class ModelError(OneSliceError):
    """A checkpoint that is unknown, missing, corrupt or not of the SAM 2 family."""


class OfflineError(OneSliceError):
    """A download is needed and there is no network, or ``--offline`` forbids it."""
