"""The shipped checkpoint on generated patients, from arrays and files to labels and records."""

import json
from dataclasses import replace
from threading import Event, Thread

import cc3d
import numpy as np
import pytest

from oneslice import Segmenter, Settings, Support
from oneslice.errors import InputError
from oneslice.formats import read_label_map, write_label_map, write_volume
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure, Volume
from tests.cohort import (
    MIDDLE,
    SHORT,
    SPACING,
    STRUCTURES,
    copied,
    dice,
    mean_dice,
    patient,
    reoriented,
)
from tests.segmenters import with_settings

# Mean Dice over three structures in the whole volume, the labelled slice's mask copied to every
# slice that truly shows the structure (an oracle), and half of the gain that was measured.
GAINS = [(1, 0, 0.18), (1, 2, 0.12), (2, 1, 0.11)]


def by_name(entry):
    """What the record says of each structure of a slice."""
    return {structure["name"]: structure for structure in entry["structures"]}


@pytest.mark.parametrize("strategy", ["pairwise", "sequence"])
@pytest.mark.parametrize(("support", "query", "gain"), GAINS)
def test_better_than_copying_the_mask(support, query, gain, strategy):
    one, other = patient(support), patient(query)
    found = with_settings(strategy=strategy).segment(other.image, one.support).array
    floor = mean_dice(copied(one.support, other.labels.array), other.labels.array)
    assert mean_dice(found, other.labels.array) > floor + gain


def test_the_rest_of_the_support_s_own_scan(segmenter):
    one = patient(0)
    found = segmenter.segment(one.image, one.support)
    assert np.array_equal(found.array[..., MIDDLE], one.labels.array[..., MIDDLE])
    assert all(dice(found.array, one.labels.array, v) > 0.5 for v in (1, 2, 3))
    assert (found.confidence[MIDDLE] == 1).all() and (found.confidence < 1).any()


def test_a_seed_decides_everything(segmenter):
    one, other = patient(1), patient(2, SHORT)
    first = segmenter.segment(other.image, one.support)
    segmenter.segment(patient(0, SHORT).image, one.support)
    again = segmenter.segment(other.image, one.support)
    fresh = Segmenter("mini", "cpu", Settings(search="pool"), image_size=128)
    fresh = fresh.segment(other.image, one.labelled([MIDDLE]))
    for same in (again, fresh):
        assert np.array_equal(same.array, first.array)
        assert np.array_equal(same.confidence, first.confidence)
        assert same.record["slices"] == first.record["slices"]
    other_seed = with_settings(seed=1).segment(other.image, one.support)
    assert other_seed.record["slices"] != first.record["slices"]


def test_a_segmenter_goes_from_one_support_to_another():
    """Each as a new one would: the first is looked at from near, the second is not."""
    first, second = patient(1).labelled([MIDDLE], (3,)), patient(0).support
    scan, fast = patient(2, SHORT).image, {"search": "register", "effort": "fast"}
    used = with_settings(**fast)
    for support in (first, second, first):
        fresh = Segmenter("mini", "cpu", Settings(**fast), image_size=128)
        found, expected = (each.segment(scan, support) for each in (used, fresh))
        assert np.array_equal(found.array, expected.array)
        assert np.array_equal(found.confidence, expected.confidence)


def test_a_structure_is_the_same_in_another_colour():
    one, other, scan = patient(1), patient(0), patient(2, SHORT).image
    labels = other.support.labels
    green = tuple(replace(s, color=(0, 255, 0)) for s in labels.structures)
    painted = replace(other.support, labels=replace(labels, structures=green))
    segmenter = with_settings(search="register", effort="fast")
    found, expected = (
        segmenter.segment(scan, [one.support, second]) for second in (painted, other.support)
    )
    assert np.array_equal(found.array, expected.array)
    own, alone = (segmenter.segment(one.image, s) for s in ([one.support, painted], one.support))
    assert np.array_equal(own.array, alone.array)


def test_arrays_with_a_geometry_are_enough(segmenter):
    one = patient(1)
    grid = Geometry.from_parts(one.image.array.shape, SPACING)
    scan = Volume(one.image.array.astype(np.int16), grid)
    labels = one.support.labels.array
    found = segmenter.segment(scan, Support(scan, LabelMap(labels, grid)))
    assert [s.name for s in found.structures] == ["label 1", "label 2", "label 3"]
    assert np.array_equal(found.array[..., MIDDLE], labels[..., MIDDLE])


def test_files_are_read_and_the_result_is_saved_whole(segmenter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scan = write_volume(patient(2, SHORT).image, tmp_path / "p02.nii.gz")
    labelled = write_volume(patient(1).image, tmp_path / "p01.nii.gz")
    labels = write_label_map(patient(1).support.labels, tmp_path / "labels.seg.nrrd")
    found = segmenter.segment(scan, Support.load("p01.nii.gz", "labels.seg.nrrd"))
    target = found.save(tmp_path / "out" / "p02.nii.gz")
    again = read_label_map(target)
    assert np.array_equal(again.array, found.array)
    assert again.structures == STRUCTURES
    assert sorted(p.name for p in target.parent.iterdir()) == ["p02.json", "p02.nii.gz"]
    record = json.loads((tmp_path / "out" / "p02.json").read_text())
    assert record["scan"] == str(scan)
    (support,) = record["supports"]
    assert (support["scan"], support["labels"]) == (str(labelled), str(labels))
    assert support["slices"] == {"liver": [MIDDLE], "spleen": [MIDDLE], "kidney": [MIDDLE]}


@pytest.mark.parametrize("metric", ["encoder", "lpips", "ssim", "ncc"])
def test_every_metric_leads_to_a_result(metric, lpips_home):
    other = patient(2, SHORT)
    segmenter = Segmenter("mini", "cpu", Settings(search="pool", metric=metric), offline=True)
    found = segmenter.segment(other.image, patient(1).support)
    assert mean_dice(found.array, other.labels.array) > 0.4
    assert found.record["settings"]["metric"] == metric


def test_the_record_says_how_it_came_about():
    settings = Settings(search="pool", metric="ncc")  # by which augmented copies are the most alike
    segmenter = Segmenter("mini", "cpu", settings, image_size=128)
    record = segmenter.segment(patient(2, SHORT).image, patient(1).labelled([5, 7])).record
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again["checkpoint"] == {"name": "mini", "sha256": segmenter.checkpoint.sha256}
    assert len(again["checkpoint"]["sha256"]) == 64 and again["settings"]["seed"] == 0
    assert set(again["versions"]) >= {"python", "torch", "transformers"}
    assert (again["device"], again["slice_axis"]) == ("cpu", 2)
    assert {"encoding", "matching", "propagation", "fusion"} <= set(again["seconds"])
    assert all(seconds >= 0 for seconds in again["seconds"].values())
    assert [entry["slice"] for entry in again["slices"]] == [0, 1, 2, 3]
    for entry in map(by_name, again["slices"]):
        for name in ("liver", "spleen", "kidney"):
            assert 0 <= entry[name]["confidence"] <= 1 and entry[name]["distance"] > 0
            assert entry[name]["support"]["slice"] in (5, 7)
            assert entry[name]["support"]["scan"] == "p01"
    copies = [
        support
        for support in (by_name(e)["liver"]["support"] for e in again["slices"])
        if "augmentation" in support
    ]
    assert copies and all(abs(copy["augmentation"]["rotation"]) <= 15 for copy in copies)


def test_confidence_in_the_record_is_that_of_the_result(segmenter):
    image, *_ = reoriented(patient(2, SHORT), (0, 1, 2), (False, False, True))
    found = segmenter.segment(image, patient(1).support)
    recorded = [[s["confidence"] for s in e["structures"]] for e in found.record["slices"]]
    assert np.allclose(recorded, found.confidence, atol=1e-4)


def test_many_scans_go_on_after_a_bad_one(segmenter, tmp_path):
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    scans = [patient(0, SHORT).image, tmp_path / "broken.nii.gz", patient(2, SHORT).image]
    results = segmenter.segment_many(scans, patient(1).support)
    first = next(results)  # a generator: the others are not done yet
    assert first.segmentation is not None and first.error is None
    broken, last = results
    assert broken.segmentation is None and isinstance(broken.error, InputError)
    assert broken.scan == tmp_path / "broken.nii.gz"
    alone = segmenter.segment(patient(2, SHORT).image, patient(1).support)
    assert np.array_equal(last.segmentation.array, alone.array)


def test_many_scans_go_on_after_an_error_that_nobody_foresaw(segmenter):
    scans = [patient(0, SHORT).image, patient(2, SHORT).image]
    failure = RuntimeError("no memory left")
    failing = [failure]

    def fail_once(done, total):
        if failing:
            raise failing.pop()

    first, second = segmenter.segment_many(scans, patient(1).support, progress=fail_once)
    assert first.segmentation is None and first.error is failure
    assert second.segmentation is not None and second.error is None


def test_progress_counts_every_slice(segmenter):
    one, calls = patient(1), []
    segmenter.segment(one.image, one.support, progress=lambda *call: calls.append(call))
    assert calls == [(done, 24) for done in range(2, 25)]  # each slice is matched, then segmented


def test_several_supports_are_matched_together(segmenter):
    first, second, query = patient(0), patient(1), patient(2, SHORT)
    found = segmenter.segment(query.image, [first.support, second.support])
    used = {by_name(e)["liver"]["support"]["scan"] for e in found.record["slices"]}
    assert used <= {"p00", "p01"} and found.structures == STRUCTURES
    parts = [first.labelled([MIDDLE], values=(1,)), second.labelled([MIDDLE], values=(2, 3))]
    found = segmenter.segment(query.image, parts)
    for entry in map(by_name, found.record["slices"]):
        assert entry["liver"]["support"]["scan"] == "p00"
        assert entry["spleen"]["support"]["scan"] == entry["kidney"]["support"]["scan"] == "p01"
    assert [s.name for s in found.structures] == ["liver", "spleen", "kidney"]


def test_given_slices_of_several_supports_are_all_kept(segmenter):
    one = patient(1)
    parts = [
        one.labelled([4], values=(1,)),
        one.labelled([4, 7], values=(2,)),
        patient(0).labelled([5]),
    ]
    found = segmenter.segment(one.image, parts)
    for position, values in ((4, (1, 2)), (7, (2,))):
        truth, there = one.labels.array[..., position], found.array[..., position]
        labelled = np.isin(truth, values)
        assert np.array_equal(np.where(np.isin(there, values), there, 0), truth * labelled)
    entries = {e["slice"]: e for e in found.record["slices"]}
    assert [n for n, e in entries.items() if e.get("given")] == [4, 7]


def test_labelled_slices_of_one_scan_count_together(segmenter):
    """Three are enough, in one support or in two that were read apart: nothing is completed."""
    one, calls = patient(1), []
    twin = replace(one.image, array=one.image.array.copy())
    second = replace(one.labelled([7, 8]), image=twin)
    query = patient(2, SHORT).image
    registering = with_settings(search="register")
    registering.segment(query, [one.labelled([4, 5]), second], progress=lambda *c: calls.append(c))
    assert {total for _, total in calls} == {2 * SHORT[2]}


def test_the_record_says_what_was_given_and_what_was_found_beside_it():
    one = patient(1)
    labels = one.labels.array * 0
    labels[..., 4] = np.where(one.labels.array[..., 4] == 1, 1, 0)
    labels[..., 6] = np.where(one.labels.array[..., 6] == 2, 2, 0)
    support = Support(one.image, LabelMap(labels, one.image.geometry, STRUCTURES))
    entries = with_settings(search="register").segment(one.image, support).record["slices"]
    for position, other in ((4, 2), (6, 1)):
        assert entries[position]["given"]
        assert [s["value"] for s in entries[position]["structures"]] == [other]


def test_a_structure_labelled_on_one_slice_only(segmenter):
    one = patient(1)
    labels = one.labelled([4, 6]).labels.array.copy()
    labels[..., 4][labels[..., 4] == 3] = 0
    support = Support(one.image, LabelMap(labels, one.image.geometry, STRUCTURES))
    found = segmenter.segment(patient(2, SHORT).image, support)
    assert {by_name(e)["kidney"]["support"]["slice"] for e in found.record["slices"]} == {6}
    assert (found.array == 3).any()


def test_a_structure_goes_through_a_slice_on_which_only_others_are_labelled(segmenter):
    one = patient(1)
    apart = [one.labelled([5], values=(1, 2)), one.labelled([7], values=(3,))]
    whole = segmenter.segment(one.image, apart)
    found, kidney = whole.array, whole.array[..., 5] == 3
    assert whole.confidence[5].tolist() == [1, 1, min(whole.confidence[[4, 6], 2])]
    assert whole.confidence[5, 2] < 1
    assert dice(kidney, one.labels.array[..., 5] == 3, True) > 0.8
    given = apart[0].labels.array[..., 5]
    assert np.array_equal(np.where(kidney, 0, found[..., 5]), given) and not given[kidney].any()
    alone = one.labelled([5]).labels.array.copy()
    alone[alone == 3] = 0  # from which no kidney comes
    support = Support(one.image, LabelMap(alone, one.image.geometry, STRUCTURES))
    assert not (segmenter.segment(one.image, support).array == 3).any()


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_fragments_go_but_given_slices_stay(fraction):
    one = patient(1)
    labels = one.support.labels.array.copy()
    labels[2:4, 2:4, MIDDLE] = 1  # a spot in the air, far from the liver
    support = Support(one.image, LabelMap(labels, one.image.geometry, STRUCTURES))
    found = with_settings(min_fragment=fraction).segment(one.image, support).array
    assert np.array_equal(found[..., MIDDLE], labels[..., MIDDLE])
    pieces = cc3d.connected_components(found * (found == 2), connectivity=26)
    assert (pieces.max() == 1) or fraction == 0


def test_label_values_above_a_byte(segmenter):
    one = patient(1)
    labels = np.where(one.support.labels.array == 1, 700, 0).astype(np.uint16)
    liver = Structure(700, "liver", (1, 2, 3))
    support = Support(one.image, LabelMap(labels, one.image.geometry, (liver,)))
    found = segmenter.segment(patient(2, SHORT).image, support)
    assert set(np.unique(found.array)) == {0, 700} and found.array.dtype == np.uint16
    assert dice(found.array == 700, patient(2, SHORT).labels.array == 1, True) > 0.5


def test_supports_from_a_generator_serve_every_scan(segmenter):
    support = (each for each in [patient(1).support])
    done = segmenter.segment_many([patient(2, SHORT).image, patient(0, SHORT).image], support)
    assert [outcome.error for outcome in done] == [None, None]


def test_a_structure_ends_where_it_ends():
    """Past the organs' ends nothing is left of what registration alone would put there."""
    one, other = patient(1), patient(2)
    untrimmed, trimmed = (
        Segmenter(
            "mini", "cpu", Settings(trim=trim, carried=1, appearance=0, effort="fast")
        ).segment(other.image, one.support)
        for trim in (False, True)
    )
    cleared = 0
    for structure in one.labels.structures:
        truth, before, after = (
            labels.array == structure.value for labels in (other.labels, untrimmed, trimmed)
        )
        beyond = ~truth.any((0, 1))
        cleared += before[..., beyond].sum()
        assert not after[..., beyond].any()
        assert (after & truth).sum() > 0.85 * (before & truth).sum()
    assert cleared > 100


def test_a_structure_goes_on_by_one_slice_at_most():
    """What users get, on two scans: a piece may be met on the slice next to an end, no further."""
    one, segmenter = patient(1), Segmenter("mini", "cpu")
    beyond = labelled = 0
    for other in (patient(2), patient(3)):
        found = segmenter.segment(other.image, one.support)
        for structure in one.labels.structures:
            truth, users = (each.array == structure.value for each in (other.labels, found))
            shown = np.flatnonzero(truth.any((0, 1)))
            past = np.ones(truth.shape[2], bool)
            past[max(shown[0] - 1, 0) : shown[-1] + 2] = False
            assert not users[..., past].any()
            beyond += users[..., ~truth.any((0, 1))].sum()
            labelled += truth.sum()
    assert beyond < 0.01 * labelled


def test_the_progress_of_a_followed_scan_is_even():
    one, calls = patient(1), []
    registering = with_settings(search="register")
    registering.segment(one.image, one.support, progress=lambda done, _: calls.append(done))
    assert calls[-1] == 24 and max(np.diff(calls)) <= 2


def test_axes_of_numpy_are_written(segmenter, tmp_path):
    one, axis = patient(1), np.int64(2)
    support = Support(one.image, one.support.labels, axis=axis)
    found = segmenter.segment(patient(2, SHORT).image, support, axis=axis)
    assert found.save(tmp_path / "labels.nii.gz").exists()
    with pytest.raises(InputError, match="axis is a whole number from 0 to 2, not 3"):
        segmenter.segment(patient(2, SHORT).image, support, axis=3)


def test_threads_take_turns(segmenter):
    """What a Segmenter keeps of one's supports must not be mixed up with another's."""
    query, begun, others = patient(2, SHORT).image, Event(), []

    def other():
        support = patient(0).support
        others.append(segmenter.segment(query, support, progress=lambda *_: begun.set()))

    thread, meanwhile = Thread(target=other), []

    def start_another(done, total):
        if not meanwhile:
            thread.start()
            meanwhile.append(begun.wait(2))

    mine = segmenter.segment(query, patient(1).support, progress=start_another)
    thread.join()
    assert meanwhile == [False] and begun.is_set()
    assert np.array_equal(mine.array, segmenter.segment(query, patient(1).support).array)
    assert np.array_equal(others[0].array, segmenter.segment(query, patient(0).support).array)


def test_many_scans_along_an_axis_of_choice(segmenter):
    cube = Volume(np.random.default_rng(0).random((8, 8, 8)), Geometry.from_parts((8, 8, 8)))
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[4, 2:6, 2:6] = 1
    support = Support(cube, LabelMap(labels, cube.geometry))
    (outcome,) = segmenter.segment_many([cube], support, axis=1)
    assert outcome.segmentation.slice_axis == 1
