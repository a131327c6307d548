import math

import numpy as np
import pytest

from oneslice.errors import InputError
from oneslice.evaluation.protocol import (
    Extent,
    Fold,
    Overlap,
    even_cuts,
    folds,
    mean_over_folds,
    nearest_by_height,
    slices_with,
    support_slices,
)


def test_the_support_is_the_next_scan_and_the_first_after_the_last():
    assert folds((0, 4, 8)) == (Fold(1, (0, 1, 2, 3), 4), Fold(2, (4, 5, 6, 7), 0))


def test_leave_one_out():
    assert folds(even_cuts(3, 3)) == (Fold(1, (0,), 1), Fold(2, (1,), 2), Fold(3, (2,), 0))


def test_even_cuts():
    assert even_cuts(10, 3) == (0, 3, 6, 10)
    for parts in (1, 11):
        with pytest.raises(InputError):
            even_cuts(10, parts)


@pytest.mark.parametrize(
    ("present", "shots", "expected"),
    [
        (range(10, 22), 3, (12, 16, 20)),  # int(12/6), int(12/2), int(12*5/6)
        (range(10, 22), 1, (16,)),
        (range(10, 17), 3, (11, 13, 15)),  # int(7/6) = 1, int(7/2) = 3, int(35/6) = 5
        (range(10, 17), 1, (13,)),
        ([4, 5, 9, 10], 3, (4, 9, 10)),  # slices without the structure do not count
        ([7], 3, (7, 7, 7)),
        ([7], 1, (7,)),
    ],
)
def test_support_slices(present, shots, expected):
    assert support_slices(list(present), shots) == expected


def test_support_slices_equal_the_published_arithmetic():
    """The published code multiplies floats: pcts[part] * n, truncated."""
    for shots in (3, 5):
        half, step = 1 / (shots * 2), (1.0 - 1.0 / shots) / (shots - 1)
        for n in range(1, 300):
            published = tuple(int((half + step * part) * n) for part in range(shots))
            assert support_slices(range(n), shots) == published


def test_chunk_borders():
    extent = Extent(10, 19)  # (19 - 10) / 3 = 3 slices to a chunk, the last takes one more
    assert [extent.chunk(z, 3) for z in extent.slices] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert [Extent(5, 9).chunk(z, 3) for z in range(5, 10)] == [0, 0, 1, 2, 2]
    assert [Extent(5, 6).chunk(z, 3) for z in (5, 6)] == [0, 2]
    assert Extent(5, 5).chunk(5, 3) == 0
    assert {Extent(5, 9).chunk(z, 1) for z in range(5, 10)} == {0}


def test_chunks_equal_the_published_arithmetic():
    for shots in (1, 3, 5):
        for last in range(4, 100):
            extent = Extent(3, last)
            for z in extent.slices:
                published = int((z - 3) // ((last - 3) / shots))
                assert extent.chunk(z, shots) == min(max(published, 0), shots - 1)


def test_the_extent_holds_the_slices_between():
    mask = np.zeros((6, 2, 2), bool)
    mask[[1, 4]] = True
    assert slices_with(mask) == (1, 4)
    assert Extent.of(slices_with(mask)).slices == (1, 2, 3, 4)


def test_nearest_by_height():
    assert nearest_by_height(10, [0, 9], 10) == (0,) * 5 + (1,) * 5
    assert nearest_by_height(4, [10], 40) == (0, 0, 0, 0)
    assert nearest_by_height(3, [2, 10, 18], 21) == (0, 1, 2)


def test_overlaps_add_up_before_dice_is_taken():
    one, other = Overlap(8, 1, 1), Overlap(0, 3, 1)
    assert (one + other).dice == pytest.approx(16 / 22)
    assert Overlap(0, 0, 0).dice is None
    assert Overlap.of(np.array([1, 1, 0]), np.array([1, 0, 1])) == Overlap(1, 1, 1)


def test_folds_weigh_alike_whatever_their_scans():
    assert mean_over_folds({1: [0.2, 0.4], 2: [0.9]}) == pytest.approx((0.3 + 0.9) / 2)
    assert mean_over_folds({1: [0.0], 2: [0.0], 3: [0.9]}) == pytest.approx(0.3)
    assert mean_over_folds({1: [0.2, 0.4], 2: []}) == pytest.approx(0.3)
    assert mean_over_folds({}) is None


def independent_dice(query, support, shots):
    """The copy baseline of one scan, written from the description, in loops and fractions."""
    with_it = [z for z in range(len(support)) if support[z].any()]
    chosen = []
    for chunk in range(shots):
        share = (chunk + 0.5) / shots
        chosen.append(with_it[math.floor(share * len(with_it) + 1e-9)])
    zs = [z for z in range(len(query)) if query[z].any()]
    hit = both = 0
    for z in range(zs[0], zs[-1] + 1):
        width = (zs[-1] - zs[0]) / shots
        chunk = 0 if width == 0 else min(int((z - zs[0]) / width + 1e-9), shots - 1)
        copied = support[chosen[chunk]]
        hit += 2 * int(np.logical_and(copied, query[z]).sum())
        both += int(copied.sum()) + int(query[z].sum())
    return hit / both


@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_copying_agrees_with_an_independent_implementation(shots, seed):
    random = np.random.default_rng(seed)

    def scan():
        mask = random.random((int(random.integers(8, 30)), 5, 5)) < 0.4
        empty = random.random(len(mask)) < 0.3
        empty[len(mask) // 2] = False
        mask[empty] = False
        mask[len(mask) // 2, 0, 0] = True
        return mask

    query, support = scan(), scan()
    labelled = support_slices(slices_with(support), shots)
    extent = Extent.of(slices_with(query))
    total = Overlap(0, 0, 0)
    for z in extent.slices:
        total += Overlap.of(support[labelled[extent.chunk(z, shots)]], query[z])
    assert total.dice == pytest.approx(independent_dice(query, support, shots))
