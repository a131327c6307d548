import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneslice import Segmenter, Settings
from oneslice.completion import complete, incomplete, spread
from oneslice.support import Support
from oneslice.volume import LabelMap
from tests.cohort import MIDDLE, SHORT, dice, patient

ONE = patient(1)
STRUCTURES = ONE.labels.structures


def labelled(slices):
    """A patient's support with slices labelled for each structure."""
    labels = np.zeros_like(ONE.labels.array)
    for structure, chosen in zip(STRUCTURES, slices, strict=True):
        for index in chosen:
            mask = ONE.labels.array[..., index] == structure.value
            assert mask.any()
            labels[..., index][mask] = structure.value
    return Support(ONE.image, LabelMap(labels, ONE.image.geometry, STRUCTURES))


def test_structures_with_few_labelled_slices_are_incomplete():
    near = list(range(MIDDLE - 1, MIDDLE + 2))
    first, _, third = STRUCTURES
    assert incomplete(labelled([near, near, near])) is None
    part = incomplete(labelled([[MIDDLE], near, [MIDDLE - 1]]))
    assert part is not None and part.structures == (first, third)
    assert part.slices_with(first) == (MIDDLE,) and part.slices_with(third) == (MIDDLE - 1,)


@given(st.sets(st.integers(0, 60), min_size=1), st.data())
def test_each_part_of_a_structure_is_shown_once(present, data):
    present = sorted(present)
    labelled = data.draw(st.lists(st.sampled_from(present), max_size=3))
    used = data.draw(st.sets(st.integers(0, 60)))
    chosen = spread(present, labelled, used)
    assert set(chosen) <= set(present) - set(labelled)
    edges = np.linspace(present[0], present[-1] + 1, 6)
    parts = [int(np.searchsorted(edges, position, "right")) for position in chosen]
    taken = {int(np.searchsorted(edges, position, "right")) for position in labelled}
    assert len(set(parts)) == len(parts) and not set(parts) & taken
    filled = {int(np.searchsorted(edges, position, "right")) for position in present}
    assert {*parts, *taken} == filled
    for position, part in zip(chosen, parts, strict=True):
        inside = [p for p in present if int(np.searchsorted(edges, p, "right")) == part]
        assert position in used or not set(inside) & used


def test_what_was_found_is_labelled_where_nothing_was():
    support = labelled([[MIDDLE]] * 3)
    more = complete(support, ONE.labels)
    assert more is not None and more.predicted and more.image is support.image
    added = more.labels.array != 0
    assert np.array_equal(more.labels.array[added], ONE.labels.array[added])
    assert not added[..., MIDDLE].any()
    for structure in STRUCTURES:
        assert 1 <= len(more.slices_with(structure)) <= 4
    assert complete(support, support.labels) is None


def test_a_completed_support_speaks_for_other_scans():
    """One labelled slice low in the organ; the record tells what was predicted.

    Neither intensities nor the network is asked: of a generated organ they tell all alone.
    """
    other, few = patient(2), labelled([[2], [], []])
    scores, steps = {}, []
    for wanted in (False, True):
        settings = Settings(effort="default" if wanted else "fast", appearance=0, carried=1)
        segmenter = Segmenter("mini", "cpu", settings, offline=True)
        found = segmenter.segment(other.image, few, progress=lambda _, total: steps.append(total))
        scores[wanted] = dice(found.array, other.labels.array, 1)
        matched = [s["support"] for n in found.record["slices"] for s in n["structures"]]
        assert any("predicted" in support for support in matched) is wanted
    assert scores[True] > scores[False] + 0.02  # half of the gain that was measured
    own, scan = ONE.image.geometry.shape[2], other.image.geometry.shape[2]
    assert set(steps) == {2 * scan, 2 * (own + scan)}


def test_a_support_is_completed_once_and_never_for_its_own_scan():
    few, steps = labelled([[MIDDLE]] * 3), []
    segmenter = Segmenter("mini", "cpu", Settings(), image_size=128, offline=True)
    for scan in (patient(2, SHORT).image, ONE.image, patient(3, SHORT).image):
        found = segmenter.segment(scan, few, progress=lambda _, total: steps.append(total))
        if scan is ONE.image:
            assert np.array_equal(found.array[..., MIDDLE], ONE.labels.array[..., MIDDLE])
    short, own = 2 * SHORT[2], 2 * ONE.image.geometry.shape[2]
    assert list(dict.fromkeys(steps)) == [own + short, own, short]


def test_what_was_found_far_from_what_is_labelled_is_not_taken():
    support, kidney = labelled([[], [], [MIDDLE]]), STRUCTURES[2]
    mask = support.labels.array[..., MIDDLE]
    everywhere = np.repeat(mask[..., None], ONE.image.geometry.shape[2], axis=2)
    more = complete(support, LabelMap(everywhere, ONE.image.geometry, STRUCTURES))
    away = [abs(n - MIDDLE) * 8.0 for n in more.slices_with(kidney)]  # slices are 8 mm apart
    assert 0 < max(away) <= 1.5 * support.radius(kidney) < MIDDLE * 8.0


def test_a_completion_that_was_stopped_is_done_again():
    few = labelled([[MIDDLE]] * 3)
    segmenter = Segmenter("mini", "cpu", Settings(), image_size=128, offline=True)

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmenter.segment(patient(2, SHORT).image, few, progress=stop)
    fresh = Segmenter("mini", "cpu", Settings(), image_size=128, offline=True)
    after, expected = (each.segment(patient(3, SHORT).image, few) for each in (segmenter, fresh))
    assert np.array_equal(after.array, expected.array)
    assert np.array_equal(after.confidence, expected.confidence)
