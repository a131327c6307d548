"""Ship gate, on cases that no choice was made on: ``python -m training.within MINI --data FOLDER``.

Within a scan: the middle slice of every organ is labelled, the other slices between its ends are
segmented one by one from it. Across patients: the same labelled slice segments the next patient's
slices. Dice x 100 per class, for the model and for copying the mask.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F

from training.evaluate import counts, dice, encode_scan, load, segment
from training.forward import Memory, remember_prompt
from training.scans import Scan, read_folder, resize_mask

Key = tuple[int, str, str]  # class, setting, method


def shown_slices(scan: Scan, label: int) -> list[int]:
    """Slices that show the organ."""
    return (scan.labels == label).flatten(1).any(1).nonzero()[:, 0].tolist()


@torch.inference_mode()
def score(model, query: Scan, features, slices: list[int], label: int, prompt) -> tuple:
    """Dice of the model and of copying over the given slices; prompt is (memory, mask)."""
    memory, mask = prompt
    logits, _ = segment(model, features, slices, memory)
    truth = query.labels[slices] == label
    found = F.interpolate(logits, size=truth.shape[-2:], mode="bilinear")[:, 0] > 0
    copied = resize_mask(mask[None, None].float(), truth.shape[-2:])[0].bool().expand_as(truth)
    return dice(counts(found, truth)), dice(counts(copied, truth))


@torch.inference_mode()
def prompt_of(model, scan: Scan, features, z: int, label: int) -> tuple[Memory, torch.Tensor]:
    """Memory and mask of one labelled slice."""
    mask = scan.labels[z] == label
    size = model.config.image_size
    prompt = resize_mask(mask[None, None].float(), (size, size))
    return remember_prompt(model, features[torch.tensor([z])], prompt)[0], mask


def run(model, folder: Path, labels: list[int], limit: int) -> dict[Key, list[float]]:
    """All cases of a data set; every case also supports the next one."""
    cases = [read_folder(path) for path in sorted(folder.iterdir())[:limit]]
    features = [encode_scan(model, case) for case in cases]
    scores: dict[Key, list[float]] = defaultdict(list)
    for i, case in enumerate(cases):
        for label in labels:
            shown = shown_slices(case, label)
            if len(shown) < 3:
                continue
            middle = shown[len(shown) // 2]
            prompt = prompt_of(model, case, features[i], middle, label)
            j = (i + 1) % len(cases)
            others = [z for z in shown if z != middle]
            there = shown_slices(cases[j], label)
            for setting, at, slices in (("within", i, others), ("across", j, there)):
                if slices:
                    pair = score(model, cases[at], features[at], slices, label, prompt)
                    for method, value in zip(("model", "copy"), pair, strict=True):
                        scores[label, setting, method].append(value)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of case folders")
    parser.add_argument("--labels", type=int, nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=10)
    options = parser.parse_args()
    scores = run(load(options.checkpoint), options.data, options.labels, options.limit)
    for (label, setting, method), values in sorted(scores.items()):
        print(label, setting, method, f"{100 * sum(values) / len(values):.1f}", len(values))


if __name__ == "__main__":
    main()
