"""The few-shot protocol on generated hearts, whose masks and copies are known."""

import pytest
import torch

from oneslice.evaluation.protocol import Overlap
from oneslice.sam2.checkpoints import load_model
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Remembered
from tests.evaluation.cohort import write_pairs
from tests.training.drawn import write_case
from training.evaluate import (
    Tally,
    encode_scan,
    evaluate,
    presence,
    prompt_of,
    score_class,
    segment,
    summarise,
    support_prompts,
)
from training.forward import enlarge
from training.scans import read_folder, resize_grey, resize_mask


@pytest.fixture
def scan(tmp_path):
    write_pairs(tmp_path, ["case"])
    return read_folder(tmp_path / "case")


@pytest.fixture
def hearts(tmp_path):
    """Fold 1 of CMR: seven patients and the one who supports them."""
    for number in range(1, 9):
        write_case(tmp_path / "mscmrseg_bssfp" / f"patient{number:02d}", number, {3: (3, 5)})
    return tmp_path


def test_a_fold_of_drawn_hearts(mini, hearts):
    figures = evaluate(mini, hearts, ["cmr"], 1)["cmr"]
    names = ["myocardium", "left ventricle", "right ventricle", "mean"]
    assert list(figures["model"]) == list(figures["copy"]) == names
    assert figures["copy"]["right ventricle"] == 100  # a box in the same place
    assert figures["copy"]["left ventricle"] < 80  # another place in every scan
    assert min(figures["model"].values()) > 95
    assert figures["presence"]["recall"] == 1


def test_every_slice_is_answered_from_the_label_of_its_third(mini, scan):
    features = encode_scan(mini, scan)
    prompts = support_prompts(mini, scan, features, 1)
    disc = scan.labels == 1  # on slices 2 to 7
    assert all(torch.equal(p.mask, disc[z]) for p, z in zip(prompts, (3, 5, 7), strict=True))
    tally = score_class(mini, scan, features, 1, prompts)
    copied = disc[[3, 3, 5, 5, 7, 7]].numpy()
    assert tally.copied == Overlap.of(copied, disc[2:8].numpy())
    assert tally.copied.dice < 0.98 < tally.counts.dice
    assert (len(tally.inside), len(tally.past)) == (6, 3)
    assert min(tally.inside) > max(tally.past)


def test_a_slice_is_segmented_as_the_engine_does(mini, scan):
    query, size = [1, 2, 5, 8], 128
    features = encode_scan(mini, scan)
    prompt = prompt_of(mini, scan, features, 4, 1)
    found, score = segment(mini, features, query, prompt.memory, (size, size))
    engine = Engine(load_model("mini", image_size=size)[0])
    encoded = engine.encode(resize_grey(scan.grey, size))
    mask = resize_mask(prompt.mask[None, None].float(), (size, size))[0]
    memory = engine.remember(encoded.select([4]), mask).select([0] * 4)
    expected = engine.segment(encoded, query, [Remembered(memory, 1, prompted=True)])
    torch.testing.assert_close(score, expected.score, atol=0.05, rtol=0)
    inside = enlarge(expected.logits[:, None], size)[:, 0] > 0
    assert (found != inside).float().mean() < 1e-3
    assert found.flatten(1).any(1).tolist() == [False, True, True, False]  # the disc's ends


def test_dice_is_a_mean_over_scans_then_folds():
    right, half = Overlap(4, 0, 0), Overlap(2, 4, 0)
    tallies = [Tally(counts=dice, copied=half, inside=[1.0], past=[-1.0]) for dice in (right, half)]
    whole, mixed = tallies
    results = summarise([{"a": [whole], "b": [whole]}, {"a": [mixed] * 3, "b": [whole]}])
    assert results["model"] == {"a": 75.0, "b": 100.0, "mean": 87.5}
    assert results["copy"] == {"a": 50.0, "b": 50.0, "mean": 50.0}


def test_presence():
    figures = presence(inside=[2.0, -1.0], past=[0.5, -2.0, -3.0])
    assert figures == {"recall": 0.5, "reject": 0.667, "balanced": 0.583, "auc": 0.833}
