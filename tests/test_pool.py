import numpy as np
import pytest
import torch

from oneslice.augment import AugmentationPolicy, Augmentations, augment, draw, move_masks
from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.frames import Window, structure_masks
from oneslice.pool import SupportPool, labelled_slices
from oneslice.settings import Settings
from oneslice.support import Support
from oneslice.volume import LabelMap, Structure
from tests.cohort import STRUCTURES, patient

SIZE = 64


def slices_of(support, structures=STRUCTURES, scan_number=0, **settings):
    shown = Settings(**settings)
    return labelled_slices(support, structures, support.directions, shown, SIZE, scan_number)


def pool_of(support, size=5, seed=0):
    return SupportPool(slices_of(support), size, AugmentationPolicy(), seed)


@pytest.mark.parametrize(("text", "slices", "size"), [("16", 9, 17), ("0", 9, 1), ("2x", 9, 19)])
def test_pool_sizes(text, slices, size):
    """The paper's pool has N_T x N_q + 1 entries."""
    parsed = Augmentations.parse(text)
    assert parsed.pool_size(slices) == size and str(parsed) == text


@pytest.mark.parametrize("text", ["", "x", "-1", "2.5", "2y", "xx", "x2"])
def test_bad_augmentations_are_refused(text):
    with pytest.raises(InputError, match="2x for 2 per query slice"):
        Augmentations.parse(text)


def test_labelled_slices_are_found_in_the_file_s_count():
    found = slices_of(patient(0).labelled([5, 7]))
    assert sorted(entry.index for entry in found) == [5, 7]
    assert {entry.scan for entry in found} == {"p00"}
    assert found[0].image.shape == (1, SIZE, SIZE) and found[0].masks.shape == (3, SIZE, SIZE)
    assert all(entry.masks.flatten(1).any(1).all() for entry in found)


def test_masks_lie_on_their_organs():
    """The kidney is the brightest organ of the slice, the body the darkest of it."""
    entry = slices_of(patient(0).support)[0]
    liver, spleen, kidney = (entry.image[0][mask > 0].mean() for mask in entry.masks)
    assert liver + 0.05 < spleen and spleen + 0.05 < kidney


def test_one_mask_for_each_structure():
    labels = np.array([[0, 1, 700], [3, 1, 0]], np.uint16)
    masks = structure_masks(labels, [Structure.unnamed(v) for v in (1, 2, 700)])
    assert masks.tolist() == [
        [[0, 1, 0], [0, 1, 0]],
        [[0, 0, 0], [0, 0, 0]],
        [[0, 0, 1], [0, 0, 0]],
    ]


def test_the_first_entry_of_each_slice_is_itself():
    slices = slices_of(patient(0).labelled([5, 7]))
    pool = SupportPool(slices, 4, AugmentationPolicy(), 0)
    assert len(pool) == 8
    for number in (0, 1):
        assert torch.equal(pool[4 * number], slices[number].image)
        assert torch.equal(pool.masks(4 * number), slices[number].masks)
        assert "augmentation" not in pool.describe(4 * number)
        assert pool.describe(4 * number + 1)["slice"] == slices[number].index
    assert not torch.allclose(pool[1], pool[0], atol=0.05)


def test_images_and_masks_of_an_entry_are_augmented_together():
    pool, source = pool_of(patient(0).support), slices_of(patient(0).support)[0]
    parameters = draw(5, AugmentationPolicy(), torch.Generator().manual_seed(0))
    image = augment(source.image.expand(5, -1, -1, -1), parameters)
    masks = move_masks(source.masks.expand(5, -1, -1, -1), parameters)
    for entry in range(1, 5):
        assert torch.allclose(pool[entry], image[entry], atol=1e-6)
        assert torch.equal(pool.masks(entry), masks[entry])


def test_slices_get_different_augmentations_and_a_seed_the_same():
    support = patient(0).labelled([5, 7])
    one, same, other = (pool_of(support, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one[3], same[3]) and not torch.equal(one[3], other[3])
    assert one.describe(3)["augmentation"] != one.describe(5 + 3)["augmentation"]


def test_entries_are_eligible_for_what_they_show():
    support = patient(0).labelled([6])
    labels = support.labels.array.copy()
    labels[..., 7] = np.where(patient(0).labels.array[..., 7] == 2, 2, 0)
    both = Support(support.image, LabelMap(labels, support.image.geometry, STRUCTURES))
    pool = pool_of(both, size=3)
    by_slice = {
        pool.describe(entry)["slice"]: row.tolist() for entry, row in enumerate(pool.eligible())
    }
    assert by_slice == {6: [True, True, True], 7: [False, True, False]}


def test_window_and_modality_reach_the_support():
    support = patient(0).support
    plain, ct = slices_of(support)[0], slices_of(support, modality=Modality.CT)[0]
    soft = slices_of(support, window=Window.parse("soft-tissue"))[0]
    assert torch.equal(ct.image, soft.image) and not torch.allclose(ct.image, plain.image)
