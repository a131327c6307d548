"""``oneslice benchmark``: the field's tables, and the same on any folder of pairs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneslice.choices import Device, Metric, Search, Strategy
from oneslice.cli.models import named_or_default
from oneslice.errors import InputError
from oneslice.evaluation.choices import TOLERANCE, Ablation, MethodName

if TYPE_CHECKING:
    from oneslice.evaluation.datasets import Dataset
    from oneslice.evaluation.methods.options import Options
    from oneslice.evaluation.plan import Extents
    from oneslice.evaluation.runner import Run
    from oneslice.evaluation.study import Report, Study
    from oneslice.evaluation.variants import Rows

_LABEL, _SHOTS = "label", 3  # stem of the label files; the field's labelled slices


class Target(StrEnum):
    """What can be measured."""

    CHAOS_MRI = "chaos-mri"
    SYNAPSE_CT = "synapse-ct"
    CMR = "cmr"
    FOLDER = "folder"


def benchmark(
    target: Annotated[
        Target,
        typer.Argument(help="A data set of the field, or 'folder' for pairs of your own."),
    ],
    data: Annotated[Path, typer.Option(help="Its folder, as published or preprocessed.")],
    method: Annotated[
        list[MethodName] | None,
        typer.Option(help="Repeat for several. Default: all; with --efficiency oneslice."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Default: oneslice-benchmark/<data set>."),
    ] = None,
    folds: Annotated[
        str | None, typer.Option(help="Folds to run, e.g. 1,2. Default: all that are complete.")
    ] = None,
    shots: Annotated[
        int, typer.Option(min=1, help="Labelled slices of the support scan; the field's is 3.")
    ] = _SHOTS,
    oracle: Annotated[
        bool | None,
        typer.Option(
            help="Only with, or only without, knowing where each structure begins and ends in "
            "the query. Default: both."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The most scans of each fold, for a quick look.")
    ] = None,
    parts: Annotated[
        int | None, typer.Option(help="Folds of 'folder'. Default: leave one out.")
    ] = None,
    label: Annotated[
        str, typer.Option(help="Stem of the label files, where several versions lie there.")
    ] = _LABEL,
    ablate: Annotated[
        Ablation | None, typer.Option(help="Vary one thing, all else being equal.")
    ] = None,
    efficiency: Annotated[
        bool,
        typer.Option("--efficiency", help="Dice against 1, 2, 3, 5 and 8 labelled slices."),
    ] = False,
    within: Annotated[
        bool,
        typer.Option(
            "--within", help="Each scan is its own support: one scan, a few slices of it labelled."
        ),
    ] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="A checkpoint; repeat with --ablate model.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the network's input, a multiple of 32.")
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(help="How supports are matched; lpips is the paper's. Default: encoder."),
    ] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="Of 'oneslice'; see 'segment'.")] = None,
    search: Annotated[Search | None, typer.Option(help="Of 'oneslice'; see 'segment'.")] = None,
    device: Annotated[
        Device, typer.Option(help="auto: the first of cuda, mps and cpu that is there.")
    ] = Device.AUTO,
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 0,
    tolerance: Annotated[float, typer.Option(help="Of NSD, in mm.")] = TOLERANCE,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="Write the predicted label maps too.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure methods on a data set and print the table beside the published rows.

    Methods: copy takes the labelled slice's mask as it is; registration
    deforms it (demons); sam2-plain prompts SAM 2 with it; paper adds augmented
    copies and matching (arXiv 2503.04826); oneslice is what 'segment' does.

    A folder of your own holds <case>/image.* with <case>/label.*,
    images/<case>.* with labels/<case>.*, or <case>.* with <case>_label.*
    (NIfTI, NRRD or MetaImage).

    Results are kept case by case: the same command again goes on where it
    was stopped.
    """
    from oneslice.cli.benchmark_progress import conduct_with_progress
    from oneslice.evaluation.methods.options import Options
    from oneslice.evaluation.results import RunFolder
    from oneslice.evaluation.runner import Run

    dataset = _open(target, data, label, parts)
    chosen = dataset.chosen_folds(_numbers(folds))
    methods = None if method is None else list(dict.fromkeys(method))
    models = model or [_default_model(methods)]
    options = Options(
        models[0],
        image_size,
        device,
        offline,
        metric,
        strategy=strategy,
        search=search,
        seed=seed,
    )
    rows = _rows(methods, options, shots, ablate, efficiency, within, models)
    run = Run(dataset, chosen, rows.variants, _extents(oracle), tolerance, limit, predictions)
    folder = RunFolder(output or Path("oneslice-benchmark") / dataset.name)
    study = _study(run, rows, target, shots, ablate, efficiency, within)
    report = conduct_with_progress(study, folder)
    _print(report, as_json)


def _default_model(methods: list[MethodName] | None) -> str:
    from oneslice.sam2.catalogue import model_in_use

    needed = methods is None or any(method.uses_model for method in methods)
    return named_or_default(None) if needed else model_in_use()


def _open(target: Target, data: Path, label: str, parts: int | None) -> Dataset:
    from oneslice.evaluation.datasets import Benchmark, open_benchmark, open_folder

    if target is Target.FOLDER:
        if label != _LABEL:
            raise InputError("--label is for the field's data sets; a folder's pairs are found")
        return open_folder(data, parts)
    if parts is not None:
        raise InputError(f"--parts is for 'folder'; the folds of {target.value} are given")
    return open_benchmark(Benchmark(target.value), data, label)


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--folds {text!r}: give numbers with commas, such as 1,2") from None


def _rows(
    names: list[MethodName] | None,
    options: Options,
    shots: int,
    ablate: Ablation | None,
    efficiency: bool,
    within: bool,
    models: list[str],
) -> Rows:
    from oneslice.evaluation import variants
    from oneslice.evaluation.methods.registry import MethodMaker

    maker = MethodMaker()
    if len(models) > 1 and ablate is not Ablation.MODEL:
        raise InputError("several --model are compared by --ablate model: add it, or give one")
    if shots != _SHOTS and (efficiency or ablate is Ablation.SHOTS):
        raise InputError("the number of labelled slices is what varies: leave --shots out")
    if ablate is not None:
        if names or efficiency:
            raise InputError("--ablate chooses its own rows: leave --method and --efficiency out")
        return variants.ablation(maker, ablate, models, options, shots, within)
    if efficiency:
        if within:
            raise InputError("--efficiency measures within scans too: leave --within out")
        return variants.efficiency(maker, names or [MethodName.ONESLICE], options)
    return variants.methods(maker, names or list(MethodName), options, shots, within)


def _extents(oracle: bool | None) -> list[Extents]:
    from oneslice.evaluation.plan import Extents

    if oracle is None:
        return list(Extents)
    return [Extents.KNOWN if oracle else Extents.UNKNOWN]


def _study(
    run: Run,
    rows: Rows,
    target: Target,
    shots: int,
    ablate: Ablation | None,
    efficiency: bool,
    within: bool,
) -> Study:
    from oneslice.evaluation.datasets import Benchmark
    from oneslice.evaluation.study import Study

    of = f", ablation of {ablate.value}" if ablate else ", labelled slices" if efficiency else ""
    of += ", within each scan" if within else ""
    known = None if target is Target.FOLDER else Benchmark(target.value)
    comparable = shots == _SHOTS and not (efficiency or within) and ablate is None
    return Study(f"{run.dataset.name}{of}", run, rows, known, comparable)


def _print(report: Report, as_json: bool) -> None:
    from oneslice.cli.output import print_table

    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
        return
    for table in report.tables:
        print_table(table)
    typer.echo("Written: " + ", ".join(str(file) for file in report.files))
