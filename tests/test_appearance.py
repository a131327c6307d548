import pytest
import torch
import torch.nn.functional as F

from oneslice.appearance import SIDE, Appearance, within_reach
from oneslice.fusion import Blend
from oneslice.sam2.state import Prediction

MM = 2.5  # of a pixel
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
    near, broad = (each[0] for each in within_reach(evidence, disc(64, 40, 10)[None], MM))
    assert (near == 1).sum() > disc(64, 40, 10).sum()
    assert near[64, 65] == 0  # the organ's far side
    assert not (near[TWIN > 0] > 0).any()
    assert (near[(ORGAN + TWIN) == 0] == -1).all() and not broad.any()


@pytest.mark.parametrize("found", [torch.zeros(SIDE, SIDE), disc(64, 110, 1)])
def test_nothing_found_takes_nothing_on(found):
    near, broad = within_reach(torch.ones(1, SIDE, SIDE), found[None], MM)
    assert (near > 0).sum() <= found.sum() and not broad.any()


def test_a_large_structure_goes_on_along_broad_ways_alone():
    body, far = disc(64, 36, 22), disc(110, 36, 14)
    lobe = ((ROWS - 64).abs() <= 10) & (COLUMNS >= 36) & (COLUMNS < 120)
    bridge = ((COLUMNS - 36).abs() <= 1) & (ROWS > 64) & (ROWS < 110)
    there = (body > 0) | lobe | bridge | (far > 0)
    evidence = torch.where(there, 1.5, -1.5)[None]
    near, broad = (each[0] for each in within_reach(evidence, disc(64, 36, 20)[None], MM))
    assert near[64, 80] > 0 and broad[64, 80]  # the lobe
    assert near[64, 115] == 0  # too far along it
    assert not broad[100:, 36].any() and near[110, 36] == 0  # beyond the bridge
    assert not (broad & ~there).any()
    _, broad = within_reach(evidence, disc(64, 36, 20)[None], MM / 2)
    assert not broad.any()  # a small structure that fills a narrow field of view


def test_a_lobe_that_neither_mask_shows_is_found():
    """Where neither network nor registered mask see anything, clear intensities decide."""
    organ = (disc(64, 50, 24) > 0) | ((ROWS - 64).abs() <= 8) & (COLUMNS > 50) & (COLUMNS < 100)
    logits = torch.where(disc(64, 50, 24) > 0, 6.0, -30.0)[None]
    found = Prediction(logits, torch.ones(1), torch.ones(1), torch.zeros(1, 4))
    for clear, lobe in ((1.8, True), (0.8, False)):
        evidence = torch.where(organ, clear, -clear)[None]
        blend = Blend(MM * SIDE, 0.5, 0.7)
        mixed, _ = blend(found, torch.sigmoid(logits), evidence)
        assert (mixed[0, 64, 76:90] > 0).all() == lobe
        assert not (mixed[0][~organ] > 0).any()


def test_a_mask_that_ends_within_its_organ_is_taken_on():
    looks = Appearance(1)
    half = ORGAN * (COLUMNS < 58)
    looks.see(scan(), half[None])
    logits = torch.where(half > 0, 4.0, torch.where(ORGAN > 0, -0.5, -4.0))[None]
    found = Prediction(logits, torch.ones(1), torch.ones(1), torch.zeros(1, 4))

    def error(weight):
        mixed, _ = Blend(MM * SIDE, 0.5, weight)(
            found, torch.sigmoid(logits), looks.evidence(scan())
        )
        return float(((mixed[0] > 0) != (ORGAN > 0)).sum())

    assert error(0.7) < 0.7 * error(0.0)
