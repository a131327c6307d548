"""A log becomes a picture."""

import json

import pytest
from PIL import Image

from training.plot import PANELS, plot, read_log, smooth


def log(path, steps):
    names = [name for _, names in PANELS for name in names]
    rows = [{"clips": 8 * n} | dict.fromkeys(names, 1 / n) for n in range(1, steps + 1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_log_becomes_a_picture_with_curves(tmp_path):
    rows = read_log(log(tmp_path / "log.jsonl", 30))
    assert [row["clips"] for row in rows] == list(range(8, 248, 8))
    sizes = {}
    for count in (1, 30):
        plot(rows[:count], tmp_path / f"{count}.png")
        with Image.open(tmp_path / f"{count}.png") as image:
            assert (image.format, image.size) == ("PNG", (900, 540))
            sizes[count] = _coloured(image.convert("RGB"))
    assert sizes[30] > 2 * sizes[1]  # a single row gives no line, only its legend's


def _coloured(image):
    return sum(count for count, (r, g, b) in image.getcolors(2**20) if max(r, g, b) - min(r, g, b))


def test_smoothing_keeps_a_constant_and_weighs_the_past_less():
    assert smooth([3.0, 3.0, 3.0]) == pytest.approx([3, 3, 3])
    assert smooth([0.0, 1.0]) == pytest.approx([0, 1 / 1.9])
    assert smooth([0.0, 1.0], keep=0.0) == [0, 1]
