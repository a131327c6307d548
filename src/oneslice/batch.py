"""Many scans, one after another: where results go, and what became of each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from oneslice.choices import Format
from oneslice.errors import InputError, OneSliceError
from oneslice.formats import native_format, read_volume, refuse_format, sidecar_path, stem_of
from oneslice.formats.suffixes import output_format, suffix_of
from oneslice.provenance import data_hash

if TYPE_CHECKING:
    from oneslice.segmentation import Doubt, Segmentation
    from oneslice.segmenter import Segmenter
    from oneslice.support import Support


@dataclass(frozen=True)
class Job:
    """A scan and the file that its labels go to."""

    scan: Path
    target: Path


@dataclass(frozen=True)
class Reading:
    """How scans are read: see ``read_volume``; ``axis`` overrides the slice axis."""

    series: str | None = None
    frame: int | None = None
    axis: int | None = None


@dataclass(frozen=True)
class CaseReport:
    """What became of one scan.

    Args:
        volumes: millilitres of each structure.
        doubts: of each structure the slice to look at, the worst first.
        error: why there is no output; None if there is.
    """

    scan: Path
    target: Path
    seconds: float
    volumes: dict[str, float] = field(default_factory=dict)
    doubts: Sequence[Doubt] = ()
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        output = None if self.error else str(self.target)
        return {
            "scan": str(self.scan),
            "output": output,
            "seconds": round(self.seconds, 2),
            "millilitres": self.volumes,
            "least_certain": [
                {
                    "structure": doubt.structure.name,
                    "slice": doubt.slice,
                    "confidence": round(doubt.confidence, 4),
                }
                for doubt in self.doubts
            ],
            "error": self.error,
        }


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


def run_jobs(
    segmenter: Segmenter,
    jobs: Sequence[Job],
    support: Support | Sequence[Support],
    *,
    reading: Reading | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    progress: Callable[[Job, int, int], None] | None = None,
) -> Iterator[CaseReport]:
    """Segment and save each scan; one that fails is reported and the others go on.

    With ``skip_existing`` what another process has done meanwhile is passed over.
    """
    reading = reading or Reading()
    for job in jobs:
        if skip_existing and is_done(job):
            continue
        start = time.perf_counter()
        found: tuple[dict[str, float], list[Doubt], str | None]
        try:
            refuse_existing(job, overwrite)
            volume = read_volume(job.scan, series=reading.series, frame=reading.frame)
            refuse_format(volume, job.target)
            digest = data_hash([job.scan])
            segmentation = segmenter.segment(
                volume,
                support,
                axis=reading.axis,
                progress=None if progress is None else _for_job(progress, job),
            )
            record = {"scan_sha256": digest} | segmentation.record
            replace(segmentation, record=record).save(job.target, overwrite=overwrite)
            found = millilitres(segmentation), segmentation.doubts, None
        except Exception as failure:  # whatever it is, the other scans must not suffer
            if skip_existing and is_done(job):  # by another process
                continue
            found = {}, [], _in_words(failure)
        yield CaseReport(job.scan, job.target, time.perf_counter() - start, *found)


def _in_words(failure: Exception) -> str:
    if isinstance(failure, OneSliceError):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"


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


def is_done(job: Job) -> bool:
    """Whether the scan's result and its record are there already."""
    return _is_of(_record(job), job.scan) and job.target.stat().st_size > 0


def _record(job: Job) -> dict[str, Any]:
    """The record beside the output; nothing if there is none."""
    try:
        found = json.loads(sidecar_path(job.target).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and job.target.is_file() else {}
    except (OSError, ValueError):
        return {}


def _is_of(record: dict[str, Any], scan: Path) -> bool:
    """Whether a record is of a scan, which may have been moved since."""
    recorded = str(record.get("scan", ""))
    if not recorded or Path(recorded).exists():
        return recorded == str(scan.resolve())
    return scan.exists() and record.get("scan_sha256") == data_hash([scan])


def refuse_existing(job: Job, overwrite: bool) -> None:
    """Raise before any work is done if the output is there already."""
    there = [path for path in (job.target, sidecar_path(job.target)) if path.exists()]
    if overwrite or not there:
        return
    record = _record(job)
    if is_done(job):
        advice = "; add --overwrite to replace it, or --skip-existing to keep it"
    elif record.get("scan") and not _is_of(record, job.scan):
        advice = f" and is of {record['scan']}; choose another folder or name with -o"
    else:
        advice = " without what belongs to it; move it away, or add --overwrite to replace it"
    raise InputError(f"{there[0]}: exists already{advice}")


def _for_job(progress: Callable[[Job, int, int], None], job: Job) -> Callable[[int, int], None]:
    return lambda done, total: progress(job, done, total)


def millilitres(segmentation: Segmentation) -> dict[str, float]:
    """The volume of each structure, to four digits."""
    import numpy as np

    counts = np.bincount(segmentation.array.ravel(), minlength=1 + _largest(segmentation))
    voxel = float(np.prod(segmentation.geometry.spacing)) / 1000
    return {s.name: float(f"{counts[s.value] * voxel:.4g}") for s in segmentation.structures}


def _largest(segmentation: Segmentation) -> int:
    return max(structure.value for structure in segmentation.structures)
