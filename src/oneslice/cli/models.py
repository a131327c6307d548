"""``oneslice models``: list, download, inspect and choose the networks that segment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from oneslice.sam2.catalogue import CatalogueEntry

app = typer.Typer(
    no_args_is_help=True,
    help="The networks that segment: list, download, inspect, choose the default.\n\n"
    "A model is a short name (mini, sam2.1-tiny, ..., sam2.1-large), a folder in transformers' "
    "format, or a .pt file in the format of Meta's SAM 2 code, fine-tuned ones included. 'mini' "
    "is part of oneslice and needs no download; the larger the model, the better the masks and "
    "the longer they take.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of a table.")]
Model = Annotated[
    str, typer.Argument(metavar="NAME|PATH", help="A short name, a folder or a .pt file.")
]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show every named model, whether it is on this machine, and which one is the default."""
    from oneslice.sam2.catalogue import catalogue

    entries = catalogue()
    if as_json:
        typer.echo(json.dumps([_entry_as_json(entry) for entry in entries], indent=2))
        return
    _print_catalogue(entries)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="A short name, such as sam2.1-tiny.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Never use the network; only check what is here.")
    ] = False,
) -> None:
    """Download an official checkpoint into the hub's cache and check its hash.

    The cache is shared with other programs; HF_HOME moves it to another disk.
    """
    from oneslice.sam2 import hub
    from oneslice.sam2.locate import require_official

    model = require_official(name)
    folder = hub.download(model, offline=offline)
    typer.echo(f"{model.name} is in {folder}")
    typer.echo(f"Make it the default with: oneslice models use {model.name}")


@app.command()
def info(model: Model, as_json: AsJson = False) -> None:
    """Show where a model comes from: source, hash, sizes, licence.

    The model is read, so that damage shows. A model that is not downloaded is described as far as
    it is known.
    """
    from oneslice.cli.output import print_facts

    facts = _facts(model)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    print_facts(facts)


@app.command()
def use(model: Model) -> None:
    """Choose the model used where a command names none; 'use mini' goes back to the shipped one.

    The model is loaded once, so that a choice that cannot work is refused now.
    """
    from oneslice import config
    from oneslice.sam2.checkpoints import load_model
    from oneslice.sam2.locate import locate

    found = locate(model)
    load_model(model)
    config.set_default_model(found.reference)
    typer.echo(f"The default model is now {found.reference}")


def named_or_default(model: str | None) -> str:
    """The model to run: the one named, else the default, which is said."""
    from oneslice.config import default_model
    from oneslice.sam2.catalogue import model_in_use

    if model is not None:
        return model
    chosen = default_model()
    if chosen is None:
        typer.echo(
            "Using mini, the small model inside oneslice. A stronger one: "
            "oneslice models download sam2.1-large, then oneslice models use sam2.1-large.",
            err=True,
        )
    else:
        _refuse_if_gone(chosen)
        typer.echo(f"Using {chosen}, the default that you chose.", err=True)
    return model_in_use()


def _refuse_if_gone(default: str) -> None:
    from oneslice.errors import ModelError
    from oneslice.sam2.locate import locate

    try:
        locate(default)
    except ModelError as error:
        raise ModelError(
            f"{error}; it is the default model: 'oneslice models use mini' goes back to mini"
        ) from error


def _entry_as_json(entry: CatalogueEntry) -> dict[str, Any]:
    """A model of the catalogue as plain values."""
    return {
        "name": entry.name,
        "parameters": entry.parameters,
        "downloaded": entry.path is not None,
        "path": str(entry.path) if entry.path else None,
        "default": entry.is_default,
    }


def _print_catalogue(entries: list[CatalogueEntry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Name", "Default", "On this machine")
    table.add_column("Parameters", justify="right")
    for entry in entries:
        here = "yes" if entry.path else "no"
        size = f"{entry.parameters / 1e6:.1f} M" if entry.parameters else "?"
        table.add_row(entry.name, "default" if entry.is_default else "", here, size)
    console = Console(markup=False)  # a path may hold brackets
    console.print(table)
    console.print("Get one with: oneslice models download NAME", highlight=False)


def _facts(model: str) -> dict[str, Any]:
    from oneslice.sam2 import hub
    from oneslice.sam2.registry import LICENCE, official_model

    official = official_model(model)
    facts: dict[str, Any] = {}
    if official is not None:
        facts = {
            "name": official.name,
            "source": official.repository,
            "revision": official.revision,
            "pinned": official.is_pinned,
            "sha256 expected": hub.expected_hash(official) or "that of the first download",
            "parameters": official.parameters,
            "native image size": official.image_size,
            "licence": LICENCE,
            "downloaded": hub.cached_folder(official) is not None,
        }
    if official is None or facts["downloaded"]:
        facts |= _facts_from_files(model)
    return facts


def _facts_from_files(model: str) -> dict[str, Any]:
    from oneslice.sam2.checkpoints import load_model
    from oneslice.sam2.locate import locate

    found = locate(model)
    _, checkpoint = load_model(model)
    return {
        "name": checkpoint.name,
        "source": checkpoint.source,
        "path": str(checkpoint.path),
        "sha256": checkpoint.sha256,
        "bytes": found.weights.stat().st_size,
        "parameters": checkpoint.parameters,
        "native image size": checkpoint.image_size,
        "licence": found.licence or "unknown: ask whoever made the file",
    }
