import numpy as np
import pytest
import torch

from oneslice.fusion import (
    Blend,
    clear_absent,
    fuse,
    overlap,
    remove_fragments,
    shared,
)
from oneslice.sam2.state import ABSENT, Prediction
from oneslice.volume import Structure

STRUCTURES = [Structure.unnamed(value) for value in (2, 700)]


def test_background_and_structures_compete_for_each_pixel():
    logits = torch.tensor([[[3.0, -1.0, 0.0, 5.0]], [[4.0, -2.0, -1.0, 1.0]]])
    labels, second = fuse(logits, STRUCTURES)
    assert labels.tolist() == [[700, 0, 0, 2]] and labels.dtype == np.uint16
    assert second.tolist() == [[2, 0, 0, 700]]


@pytest.mark.parametrize(
    ("large", "overlap", "spared"),
    [(80, 15, True), (80, 8, False), (30, 15, False)],
    ids=["lost in a much larger one", "only touched by it", "one of two that are alike"],
)
def test_a_small_structure_is_not_lost_in_a_larger_one(large, overlap, spared):
    """What both claim: ``overlap`` of the 20 pixels of the small one, where it is less certain."""
    logits = torch.full((2, 1, 120), -3.0)
    logits[0, 0, :large] = 5
    logits[1, 0, large - overlap : large - overlap + 20] = 2
    labels, second = fuse(logits, STRUCTURES)
    contested = slice(large - overlap, large)
    assert (labels[0, contested] == (700 if spared else 2)).all()
    assert (second[0, contested] == (2 if spared else 700)).all()
    assert (labels[0, : large - overlap] == 2).all()
    assert (labels[0, large : large - overlap + 20] == 700).all()


@pytest.mark.parametrize(
    ("weight", "labels"), [(0.0, [1, 0, 0]), (0.5, [1, 1, 0]), (1.0, [0, 1, 1])]
)
def test_network_and_registered_masks_are_weighed(weight, labels):
    logits = torch.tensor([[[4.0, -0.5, ABSENT]]])
    found = Prediction(logits, torch.ones(1), torch.ones(1), torch.zeros(1, 4))
    mixed, _ = Blend(100, weight)(found, torch.tensor([[[0.4, 1.0, 1.0]]]))
    assert fuse(mixed, STRUCTURES[:1])[0].tolist() == [[2 * label for label in labels]]


@pytest.mark.parametrize(
    ("weight", "veto", "labels"),
    [(0.0, False, [0, 0, 0]), (0.5, False, [0, 2, 2]), (0.5, True, [0, 0, 0])],
)
def test_what_the_network_calls_absent_is_where_registration_puts_it(weight, veto, labels):
    found = Prediction(torch.full((1, 1, 3), ABSENT), torch.ones(1), -torch.ones(1), torch.ones(1))
    blend = Blend(100, weight, veto=veto)
    mixed, agreement = blend(found, torch.tensor([[[0.4, 0.6, 0.98]]]))
    assert fuse(mixed, STRUCTURES[:1])[0].tolist() == [labels]
    assert agreement is not None and agreement.item() == pytest.approx(0, abs=1e-6)


def test_agreement_is_the_share_that_both_masks_have_in_common():
    a, b = torch.zeros(3, 4, 4), torch.zeros(3, 4, 4)
    a[0, :2], b[0, :2] = 1, 1  # the same
    a[1, :2], b[1, 1:3] = 1, 1  # a third of the union
    a[2, :2], b[2, 2:] = 1, 1  # apart
    assert torch.allclose(overlap(a, b), torch.tensor([1.0, 1 / 3, 0.0]))
    assert not overlap(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)).any()


def test_masks_share_what_is_in_both_of_the_larger():
    masks = torch.zeros(4, 2, 5, dtype=torch.bool)  # the last is empty
    masks[0, 0, :4] = masks[1, 0, 1:3] = masks[2, :, 2:] = True
    expected = [[0, 2 / 4, 2 / 6, 0], [2 / 4, 0, 1 / 6, 0], [2 / 6, 1 / 6, 0, 0], [0, 0, 0, 0]]
    assert torch.allclose(shared(masks), torch.tensor(expected))


def test_where_a_structure_is_absent_the_runner_up_takes_its_place():
    labels = np.array([[[2, 700, 0, 2]]] * 3, np.uint16)
    second = np.array([[[700, 2, 0, 0]]] * 3, np.uint16)
    present = np.array([[True, True], [False, True], [False, False]])
    cleared = clear_absent(labels, second, present, STRUCTURES)
    assert cleared.tolist() == [[[2, 700, 0, 2]], [[700, 700, 0, 0]], [[0, 0, 0, 0]]]
    assert cleared.dtype == np.uint16


def fragments():
    labels = np.zeros((12, 12, 6), np.uint16)
    labels[0:4, 0:5, 0:5] = 1  # 100 voxels
    labels[8:10, 8:10, 0:5] = 1  # 20
    labels[11, 0, 0] = 1  # 1
    labels[6, 0:2, 0] = 700  # 2, its largest
    labels[8, 0, 5] = 700  # 1
    return labels


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [
        (0.0, (121, 3)),
        (0.005, (121, 3)),
        (0.1, (120, 3)),
        (0.2, (120, 3)),
        (0.3, (100, 3)),
        (1, (100, 2)),
    ],
)
def test_small_fragments_are_measured_against_their_own_structure(fraction, kept):
    cleaned = remove_fragments(fragments(), fraction)
    assert ((cleaned == 1).sum(), (cleaned == 700).sum()) == kept
    assert cleaned.dtype == np.uint16
    assert np.array_equal(cleaned[cleaned > 0], fragments()[cleaned > 0])


def test_fragments_are_connected_across_corners_and_slices_but_not_structures():
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[range(5), range(5), range(5)] = 1  # a diagonal is one piece
    labels[5, 5, 5] = 2  # touches it, but is another structure
    assert np.array_equal(remove_fragments(labels, 1.0), labels)


def test_nothing_to_clean():
    assert not remove_fragments(np.zeros((3, 3, 3), np.uint8), 0.5).any()
