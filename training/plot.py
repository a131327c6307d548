"""Draws the curves of a run: ``python -m training.plot OUT/log.jsonl curve.png``."""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("loss", ("loss",)),
    ("Dice of present targets", ("dice", "copy")),
    ("presence, share right", ("seen", "gone")),
    ("learning rate", ("rate",)),
)


def read_log(path: Path) -> list[dict[str, float]]:
    """One row per logged step."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def smooth(values: list[float], keep: float = 0.9) -> list[float]:
    """Exponential running mean without a bias at its start."""
    total = weight = 0.0
    out = []
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        out.append(total / weight)
    return out


def plot(rows: list[dict[str, float]], target: Path) -> None:
    """Four panels over the number of clips."""
    clips = [row["clips"] for row in rows]
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), constrained_layout=True)
    for axis, (title, names) in zip(axes.flat, PANELS, strict=True):
        for name in names:
            axis.plot(clips, smooth([row[name] for row in rows]), label=name)
        axis.set(title=title, xlabel="clips")
        axis.legend()
    figure.savefig(target, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    plot(read_log(options.log), options.target)


if __name__ == "__main__":
    main()
