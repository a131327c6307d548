"""Ship gate, on cases that no choice was made on: ``python -m training.within MINI --data FOLDER``.

Within a scan: the middle slice of every organ is labelled, the other slices between its ends are
segmented one by one from it. Across patients: the same labelled slice segments the next patient's
slices. Dice x 100 per class, for the model and for copying the mask.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import torch
from transformers import Sam2VideoModel

from training.evaluate import Prompt, counts, encode_scan, prompt_of, segment
from training.forward import Features
from training.model import load_model
from training.scans import Scan, read_folder, resize_mask

Key = tuple[int, str, str]  # class, setting, method


@torch.inference_mode()
def score(
    model: Sam2VideoModel,
    query: Scan,
    features: Features,
    slices: list[int],
    label: int,
    prompt: Prompt,
) -> dict[str, float]:
    """Dice of the model and of copying over the given slices, which show the organ."""
    truth = query.labels[slices] == label
    shape = truth.shape[-2:]
    found, _ = segment(model, features, slices, prompt.memory, shape)
    copied = resize_mask(prompt.mask[None, None].float(), shape)[0].bool().expand_as(truth)
    answers = {"model": found, "copy": copied}
    return {method: counts(mask, truth).dice or 0.0 for method, mask in answers.items()}


def score_organ(
    model: Sam2VideoModel, cases: list[Scan], features: list[Features], i: int, label: int
) -> Iterator[tuple[Key, float]]:
    """One organ of case ``i``: within its scan, and in the next case."""
    shown, j = cases[i].shown(label), (i + 1) % len(cases)
    if len(shown) < 3:
        return
    middle = shown[len(shown) // 2]
    prompt = prompt_of(model, cases[i], features[i], middle, label)
    others, there = [z for z in shown if z != middle], list(cases[j].shown(label))
    for setting, at, slices in (("within", i, others), ("across", j, there)):
        if slices:
            figures = score(model, cases[at], features[at], slices, label, prompt)
            for method, value in figures.items():
                yield (label, setting, method), value


def run(
    model: Sam2VideoModel, folder: Path, labels: list[int], limit: int
) -> dict[Key, list[float]]:
    """All cases of a data set; every case also supports the next one."""
    cases = [read_folder(path) for path in sorted(folder.iterdir())[:limit]]
    features = [encode_scan(model, case) for case in cases]
    scores: dict[Key, list[float]] = defaultdict(list)
    for i, label in product(range(len(cases)), labels):
        for key, value in score_organ(model, cases, features, i, label):
            scores[key].append(value)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of case folders")
    parser.add_argument("--labels", type=int, nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=10)
    options = parser.parse_args()
    model = load_model(options.checkpoint).eval()
    scores = run(model, options.data, options.labels, options.limit)
    for (label, setting, method), values in sorted(scores.items()):
        print(label, setting, method, f"{100 * sum(values) / len(values):.1f}", len(values))


if __name__ == "__main__":
    main()
