"""Which scan goes to which file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.formats import native_format, sidecar_path, stem_of
from oneslice.formats.suffixes import output_format, suffix_of


@dataclass(frozen=True)
class Job:
    """A scan and the file that its labels go to."""

    scan: Path
    target: Path


def plan_jobs(
    scans: Sequence[Path],
    out: Path,
    format: Format | None = None,
    inputs: Sequence[Path] = (),
) -> list[Job]:
    """Name the outputs after the scans.

    One scan may go to a file; otherwise ``out`` is a folder. Scans of the same name keep the
    folders below their common parent, so that no two results meet. ``inputs`` are files besides
    the scans that no result may replace.

    Raises:
        InputError: no scan, several scans for one file or a kind of file that is not written, two
            scans that cannot be told apart, or a result that would lie on an input.
    """
    if not scans:
        raise InputError("no scan to segment: the only files named are the labels of the support")
    jobs = _name_outputs(scans, out, format)
    _refuse_inputs(jobs, [*scans, *inputs])
    return jobs


def _name_outputs(scans: Sequence[Path], out: Path, format: Format | None) -> list[Job]:
    if suffix_of(out) and not out.is_dir():
        if len(scans) > 1:
            raise InputError(f"{out}: one file for {len(scans)} scans; give a folder with -o")
        if format not in (None, output_format(out)):
            raise InputError(f"{out}: is not of the format {format}; name the file otherwise")
        return [Job(scans[0], out)]
    names = {scan: f"{stem_of(scan)}{(format or native_format(scan)).suffix}" for scan in scans}
    if len({stem_of(scan) for scan in scans}) == len(scans):
        return [Job(scan, out / name) for scan, name in names.items()]
    # as they are named, for links may lead elsewhere
    folders = {scan: Path(os.path.abspath(scan)).parent for scan in scans}  # noqa: PTH100
    common = Path(os.path.commonpath([*folders.values()]))
    targets = {scan: out / folders[scan].relative_to(common) / names[scan] for scan in scans}
    first: dict[Path, Path] = {}  # by the file beside the result
    for scan, target in targets.items():
        other = first.setdefault(sidecar_path(target), scan)
        if other != scan:
            raise InputError(
                f"{other} and {scan} would both be written to {target.parent / stem_of(target)}.*; "
                "segment them apart"
            )
    return [Job(scan, target) for scan, target in targets.items()]


def _refuse_inputs(jobs: Sequence[Job], inputs: Sequence[Path]) -> None:
    """Raise if a result, or the JSON file beside it, would take the name of an input file.

    A scan with such a file beside it would be taken for a label map from then on.
    """
    taken = {sidecar_path(path.resolve()): path for path in inputs if path.is_file()}
    for job in jobs:
        if own := taken.get(sidecar_path(job.target.resolve())):
            raise InputError(
                f"{job.target}: would lie beside {own} under the same name; "
                "choose another folder or name with -o"
            )


def refuse_unwritable(jobs: Sequence[Job]) -> None:
    """Raise before any work is done if results cannot be written where they shall go."""
    for folder in {job.target.parent for job in jobs}:
        existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        try:
            with TemporaryFile(dir=existing):
                pass
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror}); choose another folder with -o"
            ) from error
