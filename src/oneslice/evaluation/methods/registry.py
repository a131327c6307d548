"""The methods by name. To add one: a file with a ``Method``, a ``MethodName`` and a case here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oneslice.evaluation.choices import MethodName
from oneslice.evaluation.methods.base import Method
from oneslice.evaluation.methods.options import Options

if TYPE_CHECKING:
    from oneslice.evaluation.methods.session import Session


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
