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
from torch import Tensor
from transformers import Sam2VideoModel

from training.appearance import normalise
from training.forward import Features, Memory, attend, decode, encode, enlarge, remember_prompt
from training.model import build_mini, set_size
from training.scans import FOLDS, LABELS, Fold, Scan, read_scan, resize_grey, resize_mask
from training.state import load_shards

CHUNKS = 3


@dataclass
class Tally:
    """Sums of one class in one scan."""

    counts: Tensor = field(default_factory=lambda: torch.zeros(3))  # TP, FP, FN
    copied: Tensor = field(default_factory=lambda: torch.zeros(3))
    inside: list[float] = field(default_factory=list)  # object scores where the organ is
    past: list[float] = field(default_factory=list)  # object scores past its ends


def support_slices(labels: Tensor, label: int) -> list[int]:
    """One labelled slice per third of the organ."""
    shown = (labels == label).flatten(1).any(1).nonzero()[:, 0].tolist()
    return [shown[int((2 * i + 1) / (2 * CHUNKS) * len(shown))] for i in range(CHUNKS)]


def chunk_of(z: int, first: int, last: int) -> int:
    """Third of the organ that a slice lies in; slices past an end belong to the end's third."""
    step = (last - first) / CHUNKS
    return min(max(int((z - first) / step), 0), CHUNKS - 1) if step else 0


def counts(found: Tensor, truth: Tensor) -> Tensor:
    """TP, FP, FN of boolean maps."""
    return torch.stack([(found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum()])


def dice(tally: Tensor) -> float:
    tp, fp, fn = tally.tolist()
    return 2 * tp / max(2 * tp + fp + fn, 1)


@torch.inference_mode()
def encode_scan(model: Sam2VideoModel, scan: Scan, batch: int = 8) -> Features:
    """Features of all slices."""
    grey = normalise(resize_grey(scan.grey, model.config.image_size)[:, 0])
    parts = [encode(model, grey[i : i + batch]) for i in range(0, len(grey), batch)]
    names = ("fine", "middle", "top", "place")
    return Features(*(torch.cat([getattr(p, n) for p in parts]) for n in names))


@torch.inference_mode()
def support_memories(
    model: Sam2VideoModel, scan: Scan, features: Features, label: int
) -> list[tuple[Memory, Tensor]]:
    """Memory and mask (H, W) of each labelled slice."""
    found = []
    for z in support_slices(scan.labels, label):
        mask = scan.labels[z] == label
        prompt = resize_mask(mask.float()[None, None], (model.config.image_size,) * 2)
        at = torch.tensor([z])
        found.append((remember_prompt(model, features[at], prompt)[0], mask))
    return found


@torch.inference_mode()
def segment(
    model: Sam2VideoModel, features: Features, slices: list[int], memory: Memory
) -> tuple[Tensor, Tensor]:
    """Logits (N, 1, S, S) gated by the object score, and the scores (N,)."""
    query = features[torch.tensor(slices)]
    repeated = memory[torch.zeros(len(slices), dtype=torch.long)]
    out = decode(model, query, attend(model, query, [repeated], [0], [1.0]), None)
    logits = torch.where(out.score[:, None, None, None] > 0, out.logits, -1024.0)
    return enlarge(logits, model.config.image_size), out.score


def score_class(
    model: Sam2VideoModel,
    query: Scan,
    features: Features,
    label: int,
    memories: list[tuple[Memory, Tensor]],
) -> Tally:
    """Segments one class in one scan from the memory of each slice's third."""
    shown = (query.labels == label).flatten(1).any(1).nonzero()[:, 0].tolist()
    tally, (first, last) = Tally(), (shown[0], shown[-1])
    for chunk, (memory, mask) in enumerate(memories):
        slices = [z for z in range(len(query.labels)) if chunk_of(z, first, last) == chunk]
        if not slices:
            continue
        logits, score = segment(model, features, slices, memory)
        shape = query.labels.shape[-2:]
        found = torch.nn.functional.interpolate(logits, size=shape, mode="bilinear")[:, 0] > 0
        for i, z in enumerate(slices):
            if not first <= z <= last:
                tally.past.append(float(score[i]))
                continue
            truth = query.labels[z] == label
            tally.inside.append(float(score[i]))
            tally.counts += counts(found[i], truth)
            tally.copied += counts(mask, truth)
    return tally


def run_fold(
    model: Sam2VideoModel, data: Path, fold: Fold, labels: dict[int, str]
) -> dict[str, list[Tally]]:
    """Tallies per class, one per query scan."""
    support = read_scan(data, fold.folder, fold.support)
    own = encode_scan(model, support)
    memories = {label: support_memories(model, support, own, label) for label in labels}
    tallies: dict[str, list[Tally]] = {name: [] for name in labels.values()}
    for patient in fold.queries:
        query = read_scan(data, fold.folder, patient)
        features = encode_scan(model, query)
        for label, name in labels.items():
            if bool((query.labels == label).any()):
                tally = score_class(model, query, features, label, memories[label])
                tallies[name].append(tally)
    return tallies


def summarise(folds: list[dict[str, list[Tally]]]) -> dict[str, object]:
    """Dice x 100 per class and on average, for the model and for copying; presence."""

    def mean(which: str) -> dict[str, float]:
        per = {
            name: sum(sum(dice(getattr(t, which)) for t in f[name]) / len(f[name]) for f in folds)
            for name in folds[0]
        }
        named = {name: round(100 * value / len(folds), 1) for name, value in per.items()}
        return named | {"mean": round(100 * sum(per.values()) / len(folds) / len(per), 1)}

    every = [t for f in folds for ts in f.values() for t in ts]
    inside, past = ([x for t in every for x in getattr(t, k)] for k in ("inside", "past"))
    return {"model": mean("counts"), "copy": mean("copied"), "presence": presence(inside, past)}


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
        tallies = [run_fold(model, data, fold, LABELS[name]) for fold in FOLDS[name][:folds]]
        results[name] = summarise(tallies) | {"seconds": round(time.monotonic() - begun)}
    return results


def load(checkpoint: Path) -> Sam2VideoModel:
    """A checkpoint folder, or the averaged weights of a training state at 256 pixels."""
    if (checkpoint / "counters.json").exists():
        model = build_mini()
        model.load_state_dict(load_shards(checkpoint, "average"))
        return model.eval()
    return Sam2VideoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["chaos", "cmr"], choices=list(FOLDS))
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--size", type=int, default=0, help="image size, if not the checkpoint's")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load(options.checkpoint)
    if options.size:
        set_size(model, options.size)
    results = evaluate(model, options.data, options.sets, options.folds)
    json.dump(results, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
