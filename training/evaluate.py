"""Few-shot protocol on real scans: ``python -m training.evaluate CHECKPOINT --data FOLDER``.

Three labelled slices of one support scan, one per third of the organ; every query slice is
segmented on its own from the labelled slice of its third. Dice per scan and class from summed
counts over the slices between the organ's ends; mean over scans, then folds. Beside it: copying
the mask, and presence on slices past the organ's ends.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoModel

from oneslice.evaluation.datasets import Dataset
from oneslice.evaluation.protocol import Extent, Fold, Overlap, mean_over_folds, support_slices
from oneslice.sam2.state import ABSENT
from training.appearance import normalise
from training.forward import Features, Memory, attend, decode, encode, enlarge, remember_prompt
from training.model import load_model, set_size
from training.scans import FOLDERS, LABELS, Scan, open_set, read_case, resize_grey, resize_mask

CHUNKS = 3
NOTHING = Overlap(0, 0, 0)


@dataclass(frozen=True)
class Prompt:
    """One labelled slice: what the model remembers of it, and its mask (H, W)."""

    memory: Memory
    mask: Tensor


@dataclass
class Tally:
    """Sums of one class in one scan."""

    counts: Overlap = NOTHING
    copied: Overlap = NOTHING
    inside: list[float] = field(default_factory=list)  # object scores where the organ is
    past: list[float] = field(default_factory=list)  # object scores past its ends


def counts(found: Tensor, truth: Tensor) -> Overlap:
    """TP, FP, FN of boolean maps."""
    return Overlap.of(found.numpy(), truth.numpy())


@torch.inference_mode()
def encode_scan(model: Sam2VideoModel, scan: Scan, batch: int = 8) -> Features:
    """Features of all slices."""
    grey = normalise(resize_grey(scan.grey, model.config.image_size)[:, 0])
    parts = [encode(model, grey[i : i + batch]) for i in range(0, len(grey), batch)]
    names = ("fine", "middle", "top", "place")
    return Features(*(torch.cat([getattr(p, n) for p in parts]) for n in names))


@torch.inference_mode()
def prompt_of(model: Sam2VideoModel, scan: Scan, features: Features, z: int, label: int) -> Prompt:
    """Memory and mask of one labelled slice."""
    mask = scan.labels[z] == label
    prompt = resize_mask(mask.float()[None, None], (model.config.image_size,) * 2)
    return Prompt(remember_prompt(model, features[torch.tensor([z])], prompt)[0], mask)


def support_prompts(
    model: Sam2VideoModel, scan: Scan, features: Features, label: int
) -> list[Prompt]:
    """One labelled slice per third of the organ."""
    slices = support_slices(scan.shown(label), CHUNKS)
    return [prompt_of(model, scan, features, z, label) for z in slices]


@torch.inference_mode()
def segment(
    model: Sam2VideoModel,
    features: Features,
    slices: list[int],
    memory: Memory,
    shape: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Masks (N, H, W) of that shape, gated by the object score, and the scores (N,)."""
    query = features[torch.tensor(slices)]
    repeated = memory[torch.zeros(len(slices), dtype=torch.long)]
    out = decode(model, query, attend(model, query, [repeated], [0], [1.0]), None)
    logits = torch.where(out.score[:, None, None, None] > 0, out.logits, ABSENT)
    full = enlarge(logits, model.config.image_size)
    return F.interpolate(full, size=shape, mode="bilinear")[:, 0] > 0, out.score


def score_class(
    model: Sam2VideoModel, query: Scan, features: Features, label: int, prompts: list[Prompt]
) -> Tally:
    """Segments one class in one scan from the memory of each slice's third."""
    tally, extent = Tally(), Extent.of(query.shown(label))
    for chunk, prompt in enumerate(prompts):
        slices = [z for z in range(len(query.labels)) if extent.chunk(z, CHUNKS) == chunk]
        if not slices:
            continue
        shape = query.labels.shape[-2:]
        found, score = segment(model, features, slices, prompt.memory, shape)
        for i, z in enumerate(slices):
            if not extent.first <= z <= extent.last:
                tally.past.append(float(score[i]))
                continue
            truth = query.labels[z] == label
            tally.inside.append(float(score[i]))
            tally.counts += counts(found[i], truth)
            tally.copied += counts(prompt.mask, truth)
    return tally


def run_fold(
    model: Sam2VideoModel, dataset: Dataset, fold: Fold, labels: dict[int, str]
) -> dict[str, list[Tally]]:
    """Tallies per class, one per query scan."""
    support = read_case(dataset, fold.support)
    own = encode_scan(model, support)
    prompts = {label: support_prompts(model, support, own, label) for label in labels}
    tallies: dict[str, list[Tally]] = {name: [] for name in labels.values()}
    for position in fold.queries:
        query = read_case(dataset, position)
        features = encode_scan(model, query)
        for label, name in labels.items():
            if query.shown(label):
                tally = score_class(model, query, features, label, prompts[label])
                tallies[name].append(tally)
    return tallies


def mean_dice(folds: list[dict[str, list[Tally]]], name: str, which: str) -> float:
    """Dice x 100 of a class: mean over scans, then folds."""
    scores = {
        number: [getattr(tally, which).dice or 0.0 for tally in fold[name]]
        for number, fold in enumerate(folds)
    }
    return 100 * (mean_over_folds(scores) or 0.0)


def summarise(folds: list[dict[str, list[Tally]]]) -> dict[str, object]:
    """Dice x 100 per class and on average, for the model and for copying; presence."""

    def table(which: str) -> dict[str, float]:
        per = {name: mean_dice(folds, name, which) for name in folds[0]}
        per["mean"] = sum(per.values()) / len(per)
        return {name: round(value, 1) for name, value in per.items()}

    every = [t for f in folds for ts in f.values() for t in ts]
    inside, past = ([x for t in every for x in getattr(t, k)] for k in ("inside", "past"))
    return {"model": table("counts"), "copy": table("copied"), "presence": presence(inside, past)}


def presence(inside: list[float], past: list[float]) -> dict[str, float]:
    """How well the object score tells slices of the organ from slices past its ends."""
    here, gone = torch.tensor(inside), torch.tensor(past)
    recall, reject = (here > 0).float().mean(), (gone <= 0).float().mean()
    above = (here[:, None] > gone).float().mean()
    figures = {"recall": recall, "reject": reject, "balanced": (recall + reject) / 2, "auc": above}
    return {name: round(float(value), 3) for name, value in figures.items()}


def evaluate(model: Sam2VideoModel, data: Path, sets: list[str], folds: int) -> dict[str, object]:
    """All asked data sets."""
    results: dict[str, object] = {}
    for name in sets:
        begun = time.monotonic()
        dataset = open_set(data, name)
        chosen = dataset.chosen_folds(range(1, folds + 1))
        tallies = [run_fold(model, dataset, fold, LABELS[name]) for fold in chosen]
        results[name] = summarise(tallies) | {"seconds": round(time.monotonic() - begun)}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["chaos", "cmr"], choices=list(FOLDERS))
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--size", type=int, default=0, help="image size, if not the checkpoint's")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.checkpoint).eval()
    if options.size:
        set_size(model, options.size)
    results = evaluate(model, options.data, options.sets, options.folds)
    json.dump(results, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
