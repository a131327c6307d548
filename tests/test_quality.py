import math

import pytest
import torch

from oneslice.quality import confidence
from oneslice.sam2.state import Prediction

SURE = 1 / (1 + math.exp(-2))


def sure_of(score, iou, shown, agreement=None):
    one = torch.ones(1)
    prediction = Prediction(torch.zeros(1, 2, 2), iou * one, score * one, torch.zeros(1, 4))
    agreement = None if agreement is None else agreement * one
    return float(confidence(prediction, torch.tensor([shown]), agreement))


@pytest.mark.parametrize(
    ("score", "iou", "shown", "expected"),
    [
        (20.0, 0.8, True, 0.8),
        (2.0, 0.8, True, 0.8 * SURE),
        (20.0, 1.2, True, 1.0),
        (-20.0, 0.8, False, 1.0),
        (0.0, 0.8, False, 0.5),
    ],
)
def test_confidence_of_presence_and_of_absence(score, iou, shown, expected):
    assert sure_of(score, iou, shown) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("agreement", "dice"), [(1.0, 1.0), (1 / 3, 0.5), (0.0, 0.0)])
def test_masks_that_do_not_agree_are_not_trusted_however_sure_the_network_is(agreement, dice):
    expected = math.sqrt(0.8 * dice)
    assert sure_of(20.0, 0.8, True, agreement) == pytest.approx(expected, abs=1e-4)
    assert sure_of(-20.0, 0.8, False, agreement) == pytest.approx(1.0)


def test_confidence_speaks_of_what_is_shown_whatever_the_network_says():
    """A registered mask that the network calls absent is doubtful, as is one that was dropped."""
    assert sure_of(-2.0, 0.8, shown=True) == pytest.approx(0.8 * (1 - SURE))
    assert sure_of(2.0, 0.8, shown=False) == pytest.approx(1 - SURE)
