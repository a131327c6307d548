"""Any folder of image and label pairs, so that people can measure on their own study."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from oneslice.errors import InputError
from oneslice.evaluation.datasets.base import Case, Dataset, LabelledStack, Pair
from oneslice.evaluation.protocol import even_cuts, folds
from oneslice.formats import read_label_map, read_volume
from oneslice.formats.suffixes import VOLUMES, by_stem, natural_key, only_one
from oneslice.geometry import Array, SliceView, aligned_view, canonical_view, matching_axis
from oneslice.volume import Structure, Volume, refuse_twins

LOOKED_FOR = (
    "<case>/image.* with <case>/label.*; images/<case>.* with labels/<case>.*; or "
    "<case>.* with <case>_label.* (NIfTI, NRRD or MetaImage)"
)
_LABEL_ENDING = "_label"
_Files = dict[str, list[Path]]


def open_folder(root: Path, parts: int | None = None) -> Dataset:
    """The pairs in a folder; each fold is supported by the next scan.

    Args:
        root: the folder.
        parts: how many folds; None: one for each scan (leave one out).

    Raises:
        InputError: no such folder, none of the layouts or two of them, an image without its labels
            or labels without their image, two files for one of them, fewer than two pairs, nothing
            labelled, two values of one name, or a number of folds that the pairs cannot be cut
            into.

    """
    if not root.is_dir():
        raise InputError(f"{root}: is no folder")
    pairs = _find_pairs(root)
    if len(pairs) < 2:
        raise InputError(
            f"{root}: {len(pairs)} image and label pairs found, two or more are needed; "
            f"looked for {LOOKED_FOR}"
        )
    directions = _reading_directions(read_volume(next(iter(pairs.values()))[0]))
    cases = {
        name: Case(name, files, partial(_read, files, directions)) for name, files in pairs.items()
    }
    cuts = even_cuts(len(pairs), len(pairs) if parts is None else parts)
    name, structures = root.resolve().name, _structures(pairs)
    return Dataset(name, "pairs", structures, tuple(pairs), cases, folds(cuts))


def _find_pairs(root: Path) -> dict[str, Pair]:
    """Image and label of each case, in the order of the numbers in their names."""
    layouts = _case_folders(root), _twin_folders(root), _named_labels(root)
    found = [pairs for pairs in layouts if pairs]
    if len(found) > 1:
        (one, _), (other, _) = (next(iter(pairs.values())) for pairs in found[:2])
        raise InputError(
            f"{root}: mixes layouts ({one.relative_to(root)} and {other.relative_to(root)}); keep "
            f"one of {LOOKED_FOR}"
        )
    return found[0] if found else {}


def _case_folders(root: Path) -> dict[str, Pair]:
    folders = sorted((p for p in root.iterdir() if p.is_dir()), key=natural_key)
    found = {folder.name: _by_stem(folder) for folder in folders}
    cases = {name: files for name, files in found.items() if {"image", "label"} & files.keys()}
    return {name: _pair(files, "image", files, "label") for name, files in cases.items()}


def _twin_folders(root: Path) -> dict[str, Pair]:
    images, labels = _by_stem(root / "images"), _by_stem(root / "labels")
    return {name: _pair(images, name, labels, name) for name in images | labels}


def _named_labels(root: Path) -> dict[str, Pair]:
    files = _by_stem(root)
    if not any(name.endswith(_LABEL_ENDING) for name in files):
        return {}
    names = dict.fromkeys(name.removesuffix(_LABEL_ENDING) for name in files)
    return {name: _pair(files, name, files, name + _LABEL_ENDING) for name in names}


def _by_stem(folder: Path) -> _Files:
    """The volume files of a folder by name without suffix."""
    return by_stem(folder, folder.iterdir(), VOLUMES) if folder.is_dir() else {}


def _pair(images: _Files, image_name: str, labels: _Files, label_name: str) -> Pair:
    if image_name not in images:
        raise InputError(f"{labels[label_name][0]}: its image {image_name} is missing")
    image = only_one(images[image_name])
    if label_name not in labels:
        raise InputError(f"{image}: its label map {label_name} is missing")
    return image, only_one(labels[label_name])


def _structures(pairs: dict[str, Pair]) -> tuple[Structure, ...]:
    """Every structure that is labelled in some case."""
    found: dict[int, Structure] = {}
    for _, label in pairs.values():
        labels = read_label_map(label)
        for structure in (s for s in labels.structures if (labels.array == s.value).any()):
            known = found.get(structure.value, structure)
            both = known.is_named and structure.is_named
            if both and known.name.casefold() != structure.name.casefold():
                raise InputError(
                    f"{label}: label {structure.value} is {structure.name!r}, but {known.name!r} "
                    "in another case; give each structure one value and one name in all"
                )
            found[structure.value] = known if known.is_named else structure
    if not found:
        raise InputError("every label map is empty: no structure to segment")
    refuse_twins(found.values())
    return tuple(found[value] for value in sorted(found))


def _reading_directions(volume: Volume) -> Array:
    """(3, 3): how the first scan is read; the others are read alike."""
    view = canonical_view(volume.geometry, volume.through_plane_axis)
    return view.directions(volume.geometry)


def _read(files: Pair, directions: Array) -> LabelledStack:
    volume, labels = read_volume(files[0]), read_label_map(files[1])
    return LabelledStack.of(volume, labels, _view(volume, directions))


def _view(volume: Volume, directions: Array) -> SliceView:
    axis = matching_axis(volume.geometry, volume.through_plane_axis, directions)
    if volume.geometry.is_oblique(axis):
        return canonical_view(volume.geometry, axis)
    return aligned_view(volume.geometry, axis, directions)
