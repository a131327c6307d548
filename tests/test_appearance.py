import pytest
import torch
import torch.nn.functional as F

from oneslice.appearance import SIDE, Appearance, within_reach
from oneslice.fusion import Blend
from oneslice.sam2.state import Prediction

ROWS, COLUMNS = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")


def disc(row, column, radius):
    return ((ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2).float()


ORGAN, TWIN = disc(64, 50, 20), disc(64, 110, 10)


def scan(organ=0.7, body=0.3):
    """A slice (1, 256, 256) with an organ, and another thing as bright."""
    image = body + (organ - body) * (ORGAN + TWIN)
    noisy = image + 0.03 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noisy.clamp(0, 1)[None, None], (256, 256))[0]


@pytest.mark.parametrize(("organ", "body"), [(0.7, 0.3), (0.3, 0.7)])
def test_a_rough_mask_tells_a_structure_from_its_surroundings(organ, body):
    looks = Appearance(1)
    looks.see(scan(organ, body), disc(64, 42, 20)[None])
    evidence = looks.evidence(scan(organ, body))[0]
    assert evidence[ORGAN > 0].mean() > 1
    assert evidence[(ORGAN + TWIN) == 0].mean() < -1


def test_intensities_say_nothing_of_what_was_never_seen():
    looks = Appearance(2)
    looks.see(scan(), torch.stack([ORGAN, torch.zeros_like(ORGAN)]))
    assert not looks.evidence(scan())[1].any()
    assert not Appearance(1).evidence(scan()).any()


def test_intensities_that_do_not_differ_say_nothing():
    looks = Appearance(1)
    looks.see(scan(0.5, 0.5), ORGAN[None])
    assert looks.evidence(scan(0.5, 0.5)).abs().mean() < 0.3


def test_evidence_counts_only_near_what_was_found():
    evidence = (2 * (ORGAN + TWIN) - 1)[None]
    near = within_reach(evidence, disc(64, 40, 10)[None])[0]
    assert (near == 1).sum() > disc(64, 40, 10).sum()
    assert near[64, 65] == 0  # the organ's far side
    assert not (near[TWIN > 0] > 0).any()
    assert (near[(ORGAN + TWIN) == 0] == -1).all()


@pytest.mark.parametrize("found", [torch.zeros(SIDE, SIDE), disc(64, 110, 1)])
def test_nothing_found_takes_nothing_on(found):
    near = within_reach(torch.ones(1, SIDE, SIDE), found[None])
    assert (near > 0).sum() <= found.sum()


def test_a_mask_that_ends_within_its_organ_is_taken_on():
    looks = Appearance(1)
    half = ORGAN * (COLUMNS < 58)
    looks.see(scan(), half[None])
    logits = torch.where(half > 0, 4.0, torch.where(ORGAN > 0, -0.5, -4.0))[None]
    found = Prediction(logits, torch.ones(1), torch.ones(1), torch.zeros(1, 4))

    def error(weight):
        mixed, _ = Blend(0.5, weight)(found, torch.sigmoid(logits), looks.evidence(scan()))
        return float(((mixed[0] > 0) != (ORGAN > 0)).sum())

    assert error(0.7) < 0.7 * error(0.0)
