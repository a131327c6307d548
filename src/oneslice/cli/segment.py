"""``oneslice segment``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneslice.choices import Device, Effort, Format, Metric, Modality, Search, Strategy
from oneslice.cli.existing import refuse_if_all_exist, without_done
from oneslice.cli.models import named_or_default
from oneslice.cli.reports import exit_with, print_reports, run_with_progress
from oneslice.cli.supports import load_supports

if TYPE_CHECKING:
    from oneslice.augment import Augmentations
    from oneslice.batch import CaseReport

_SCANS = "Scans: files, folders, globs, DICOM series folders, or zips of one series each."
_LABELS = (
    "Label map on the support's grid in which at least one slice is labelled (NIfTI, NRRD, MHA, "
    "DICOM SEG, pictures). The labelled slices are found by themselves."
)
_SLICES = (
    "Slices of the label map that are right, from 0, where others are not to count: a corrected "
    "result's. Default: all that are labelled. Repeat in the same order."
)
_NAMES = "Names of all labels, e.g. liver=1,spleen=4, instead of what their file calls them."
_MODEL = "mini, a downloaded checkpoint, a folder or a .pt file; see 'oneslice models list'."
_AUGMENTATIONS = (
    "Copies of each labelled slice for --search pool: a number, or 2x for 2 per query slice."
)
_WINDOW = (
    "Intensities shown as black and white: LOW,HIGH, or a CT preset (soft-tissue, lung, bone, "
    "brain, liver, mediastinum). Default: soft tissue for CT, percentiles otherwise."
)
# options that concern one search alone
_NEEDS = {"augmentations": Search.POOL} | dict.fromkeys(
    ("effort", "trim", "closeup", "every_slice"), Search.REGISTER
)


def named_path(text: str) -> Path:
    """A path, which may not be empty: that would be this folder.

    Raises:
        BadParameter: it is.
    """
    if not str(text).strip():
        raise typer.BadParameter("is empty (a variable that is not set?); this folder is .")
    return Path(text)


def segment(
    context: typer.Context,
    scans: Annotated[list[str], typer.Argument(metavar="SCAN...", help=_SCANS)],
    support: Annotated[
        list[Path],
        typer.Option(
            parser=named_path,
            metavar="PATH",
            help="Scan with a labelled slice; repeat for several.",
        ),
    ],
    labels: Annotated[
        list[Path],
        typer.Option(
            parser=named_path, metavar="PATH", help=_LABELS + " Repeat in the same order."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            parser=named_path,
            metavar="PATH",
            help="Folder, or one file for one scan.",
        ),
    ],
    slices: Annotated[list[str] | None, typer.Option(metavar="12,45|all", help=_SLICES)] = None,
    names: Annotated[str | None, typer.Option(help=_NAMES)] = None,
    model: Annotated[str | None, typer.Option(help=_MODEL)] = None,
    device: Annotated[
        Device, typer.Option(help="auto: the first of cuda, mps and cpu that is there.")
    ] = Device.AUTO,
    search: Annotated[
        Search,
        typer.Option(
            help="register: the labelled slices are registered onto each slice; pool: the most "
            "alike of their random augmentations is taken (the paper), several times as fast."
        ),
    ] = Search.REGISTER,
    effort: Annotated[
        Effort,
        typer.Option(
            help="default: where fewer than three slices are labelled, the support's own scan is "
            "segmented first; fast: it is not; best: and each other scan is gone through twice."
        ),
    ] = Effort.DEFAULT,
    strategy: Annotated[
        Strategy,
        typer.Option(
            help="neighbours: each slice sees its support and what was found on the slices around "
            "it; pairwise: its support alone (the paper); sequence: and the slices before it."
        ),
    ] = Strategy.NEIGHBOURS,
    metric: Annotated[
        Metric, typer.Option(help="How supports are matched; lpips is the paper's.")
    ] = Metric.ENCODER,
    augmentations: Annotated[
        str | None, typer.Option(help=_AUGMENTATIONS, show_default="16")
    ] = None,
    window: Annotated[str | None, typer.Option(help=_WINDOW)] = None,
    modality: Annotated[
        Modality | None, typer.Option(help="Of all scans, whatever the files say.")
    ] = None,
    axis: Annotated[
        int | None, typer.Option(min=0, max=2, help="Slice axis of the files, 0 to 2.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the network's input, a multiple of 32.")
    ] = None,
    trim: Annotated[
        bool,
        typer.Option(
            "--trim/--no-trim",
            help="Clear each structure beyond its ends; it is on one stretch of slices.",
        ),
    ] = True,
    closeup: Annotated[
        bool,
        typer.Option(
            "--closeup/--no-closeup",
            help="Look at small parts of the slices alone: each small structure of the labelled "
            "scan, and in other scans the part that shows all that is labelled, or the body.",
        ),
    ] = True,
    every_slice: Annotated[
        bool,
        typer.Option(
            "--every-slice",
            help="Look at every slice, however thin; else, in other scans than the labelled ones, "
            "some are, and shapes are interpolated between them.",
        ),
    ] = False,
    min_fragment: Annotated[
        float, typer.Option(help="Drop pieces smaller than this fraction of the largest one.")
    ] = 0.0,
    series: Annotated[
        str | None,
        typer.Option(
            help="Which series, where DICOM folders hold several: its description, such as "
            "'T2 SPIR*', or its SeriesInstanceUID. Or give one file of the series."
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option(help="Frame of 4D scans and label maps, from 0.")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="Of the results; default: the scan's own, or NIfTI for DICOM and pictures. "
            "seg.nrrd: for 3D Slicer, with names; seg.dcm: DICOM SEG, of DICOM scans."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    memory: Annotated[int, typer.Option(help="MiB of features kept for reuse.")] = 1024,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs.")] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Go on with a batch: pass over scans whose result and record are there; with "
            "--overwrite, only if they were made with the same labels, options and model.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    r"""Segment scans from one labelled slice.

    Label one slice of one scan (or a few), then let oneslice do the rest of
    that scan and every other scan of the study:

        oneslice segment study/*.nii.gz --support study/p01.nii.gz \
            --labels p01-label.nii.gz -o out

    Each result lies on its scan's exact grid; a JSON file beside it says how it
    came about: the supports, the settings, and of every slice the chosen
    support, its distance and the confidence. What was labelled is kept as
    given. Exit code 1 if a scan of several failed (the others are done), 2 for
    an error.
    """
    from oneslice.batch import Reading
    from oneslice.formats import find_scans
    from oneslice.frames import Window
    from oneslice.jobs import plan_jobs, refuse_unwritable
    from oneslice.segmenter import Segmenter
    from oneslice.settings import Settings

    _tell_of_idle(context, search)
    settings = Settings(
        search=search,
        effort=effort,
        strategy=strategy,
        metric=metric,
        augmentations=_augmentations(augmentations),
        window=None if window is None else Window.parse(window),
        modality=modality,
        trim=trim,
        closeup=closeup,
        every_slice=every_slice,
        min_fragment=min_fragment,
        seed=seed,
        memory=memory,
    )
    reading = Reading(series, frame, axis)
    supports = load_supports(support, labels, slices or ["all"] * len(labels), names, reading)
    own_labels = {path.resolve() for path in labels}
    found = [scan for scan in find_scans(scans) if scan.resolve() not in own_labels]
    jobs = plan_jobs(found, out, format, [*support, *labels])
    name = named_or_default(model)
    if skip_existing:
        jobs = without_done(jobs, overwrite, supports, settings, name)
    else:
        refuse_if_all_exist(jobs, overwrite)
    refuse_unwritable(jobs)
    if not jobs:
        print_reports([], out, as_json)
        return
    segmenter = Segmenter(name, device, settings, image_size=image_size, offline=offline)
    reports: list[CaseReport] = []
    try:
        reports.extend(
            run_with_progress(segmenter, jobs, supports, reading, overwrite, skip_existing)
        )
    finally:  # what was done is told even if the rest is given up
        print_reports(reports, out, as_json)
    exit_with(reports)


def _tell_of_idle(context: typer.Context, search: Search) -> None:
    """Say which of the options given change nothing with this search."""
    for option in context.command.params:
        needed = _NEEDS.get(option.name or "", search)
        source = context.get_parameter_source(option.name or "")
        if needed is not search and source is not None and source.name == "COMMANDLINE":
            name = "/".join([*option.opts, *option.secondary_opts])
            typer.echo(f"{name} changes nothing without --search {needed}", err=True)


def _augmentations(text: str | None) -> Augmentations:
    from oneslice.augment import Augmentations

    return Augmentations() if text is None else Augmentations.parse(text)
