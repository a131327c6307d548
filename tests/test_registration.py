import pytest
import torch

from oneslice import Segmenter, Settings
from oneslice.augment import AugmentationPolicy, draw
from oneslice.augment import warp as move
from oneslice.pool import labelled_slices
from oneslice.registration import Described, refine, register
from oneslice.transform import Transform, warp
from tests.cohort import MIDDLE, SHORT, copied, mean_dice, patient


@pytest.fixture(scope="module")
def support():
    labelled = patient(1).support
    return labelled_slices(labelled, labelled.structures, labelled.directions, Settings(), 128, 0)[
        0
    ]


@pytest.fixture(scope="module")
def queries(support):
    """The support moved and dimmed, with its masks moved likewise."""
    policy = AugmentationPolicy(rotation=10, scale=0.12, shear=3, translation=0.05)
    parameters = draw(4, policy, torch.Generator().manual_seed(5))
    images = move(support.image.expand(4, -1, -1, -1), parameters)
    return 0.7 * images + 0.1, move(support.masks.expand(4, -1, -1, -1), parameters)


def overlap(a, b):
    """Dice (B,) over all structures."""
    a, b = a >= 0.5, b >= 0.5
    return 2 * (a & b).sum((1, 2, 3)) / (a.sum((1, 2, 3)) + b.sum((1, 2, 3)))


def onto(queries, supports):
    return register(Described.of(queries), Described.of(supports))


def around(query, support, masks, whole):
    place = torch.zeros(len(masks), dtype=torch.long)
    return refine(Described.of(query[None]), Described.of(support[None]), whole, place, masks)


def test_a_moved_support_is_brought_back(support, queries):
    images, truth = queries
    masks = support.masks.expand(4, -1, -1, -1)
    carried = warp(masks, onto(images, support.image.expand(4, -1, -1, -1)).grid(128))
    before, after = overlap(masks, truth), overlap(carried, truth)
    assert before[1:].mean() < 0.85 and after.min() > 0.95


def test_registrations_do_not_depend_on_each_other(support, queries):
    images, _ = queries
    together = onto(images[1:3], support.image.expand(2, -1, -1, -1)).grid(128)
    alone = onto(images[1:2], support.image[None]).grid(128)
    assert torch.allclose(together[0], alone[0], atol=2e-2)
    assert torch.equal(alone, onto(images[1:2], support.image[None]).grid(128))


def test_registering_beats_copying():
    one, other = patient(1), patient(2, SHORT)
    segmenter = Segmenter("mini", "cpu", Settings(search="register"))
    found = segmenter.segment(other.image, one.support)
    floor = mean_dice(copied(one.support, other.labels.array), other.labels.array)
    assert mean_dice(found.array, other.labels.array) > floor + 0.3
    again = segmenter.segment(one.image, one.support).array[..., MIDDLE]
    assert (again == one.labels.array[..., MIDDLE]).all()


def discs(right):
    """Two organs in a body; the one on the right is centred ``right`` (x, y) pixels."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")

    def disc(cx, cy, r):
        return ((x - cx) ** 2 + (y - cy) ** 2 < r**2).float()

    organ = disc(*right, 9)
    image = 0.3 * disc(64, 64, 56) + 0.4 * disc(40, 64, 14) + 0.5 * organ
    noise = torch.rand(128, 128, generator=torch.Generator().manual_seed(int(sum(right))))
    return (image + 0.05 * noise).clamp(0, 1)[None], organ


def test_a_structure_that_moved_alone_is_found():
    """Every small displacement is tried, then that of the structure is refined."""
    support, organ = discs((86, 64))
    query, truth = discs((92, 78))
    whole = onto(query[None], support[None])
    found = around(query, support, organ[None], whole)
    affine, displaced, refined = (
        overlap(warp(organ[None, None], grid), truth[None, None])
        for grid in (
            Transform.affine_only(whole.affine).grid(128),
            whole.grid(128),
            whole.after(found.local, 128),
        )
    )
    assert affine < 0.1 and displaced > 0.8 and refined > 0.95
    assert found.cost < around(support.flip(2), support, organ[None], whole).cost


def test_the_misfit_is_largest_where_the_slices_differ():
    support, organ = discs((86, 64))
    query = (support + 0.6 * discs((40, 30))[1]).clamp(0, 1)  # something new, far from the organ
    misfit = around(query, support, organ[None], onto(query[None], support[None])).misfit[0]
    row, column = divmod(int(misfit.argmax()), misfit.shape[1])
    assert abs((row + 0.5) / misfit.shape[0] - 40 / 128) < 0.1
    assert abs((column + 0.5) / misfit.shape[1] - 30 / 128) < 0.1


def test_a_structure_out_of_the_frame_is_left_where_it_was():
    support, organ = discs((86, 64))
    whole = onto(support[None], support[None])
    nothing = torch.zeros_like(organ)[None]
    lost = around(support, support, nothing, whole)
    assert torch.allclose(whole.after(lost.local, 128), whole.grid(128), atol=1e-5)
    assert around(support, support, organ[None], whole).cost < 0.1 < lost.cost


def test_what_is_shifted_in_from_outside_is_not_the_middle_of_the_support():
    support, organ = discs((64, 64))
    query, _ = discs((76, 72))
    whole = onto(query[None], support[None])
    found = around(query, support, organ[None], whole)
    carried = warp(organ[None, None], whole.after(found.local, 128))[0, 0]
    carried[16:112, 16:112] = 0
    assert carried.max() == 0


def test_transforms_one_after_the_other():
    """A shift after a shift is their sum; the affine parameters are those of the query."""
    shift = torch.tensor([[0.25, -0.125, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    whole = Transform.affine_only(shift)
    twice = whole.after(Transform.affine_only(shift / 2), 32)
    inner = twice[0, 8:24, 8:24]
    assert torch.allclose(inner, Transform.affine_only(1.5 * shift).grid(32)[0, 8:24, 8:24])
    assert torch.allclose(twice[1], whole.grid(32)[1], atol=1e-6)


def test_a_displacement_is_smooth_and_where_its_node_is():
    nodes = torch.zeros(1, 2, 16, 16)
    nodes[0, 0, 4, 11] = 1.0  # to the right, at row 4.5 / 16 and column 11.5 / 16
    moved = Transform(torch.zeros(1, 6), nodes).grid(64)
    moved = moved - Transform.affine_only(torch.zeros(1, 6)).grid(64)
    peak = int(moved[0, ..., 0].argmax())
    assert moved[..., 1].abs().max() == 0 and moved[..., 0].max() > 0.2
    assert abs(peak // 64 - 17.5) <= 1 and abs(peak % 64 - 45.5) <= 1
    assert moved[0, :, :, 0].diff(dim=0).abs().max() < 0.1
