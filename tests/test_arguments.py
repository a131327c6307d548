"""What is asked of a Segmenter is checked."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from oneslice.arguments import warn_of_labels
from oneslice.errors import InputError, OneSliceWarning
from oneslice.geometry import Geometry
from oneslice.volume import Volume
from tests.cohort import MIDDLE, patient
from tests.segmenters import with_settings


def test_bad_arguments_are_told_before_the_first_scan(segmenter):
    with pytest.raises(InputError, match="give a list"):
        segmenter.segment_many(patient(1).image, patient(1).support)
    with pytest.raises(InputError, match=r"Support\.load"):
        segmenter.segment_many([patient(1).image], "labels.nii.gz")


def warnings_of(run):
    """What a user is told while it runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return [str(w.message) for w in caught if w.category is OneSliceWarning]


@pytest.mark.parametrize(("options", "told"), [({}, True), ({"modality": "mr"}, False)])
def test_a_scan_taken_for_another_kind_than_the_support_is_told(options, told):
    one, air = patient(1), np.float32(-2000)
    taken_for_ct = replace(one.image, array=np.where(one.image.array < 40, air, one.image.array))
    said = warnings_of(lambda: with_settings(**options).segment(taken_for_ct, patient(2).support))
    assert len(said) == told and all("is shown as ct, the support as other" in s for s in said)


@pytest.mark.parametrize("labels", [False, True])
def test_a_label_map_among_the_scans_is_told(segmenter, labels):
    one = patient(1)
    array = one.labels.array if labels else one.image.array.astype(np.int16)
    scan = Volume(array, one.image.geometry, name="p1-truth")
    said = warnings_of(lambda: segmenter.segment(scan, patient(2).support))
    assert said == ["p1-truth looks like a label map: if it is no scan, leave it out"] * labels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_picture_is_no_label_map(axis):
    picture = np.expand_dims(patient(1).image.array[..., MIDDLE].astype(np.uint8), axis)
    scan = Volume(picture, Geometry(picture.shape, np.eye(4)))
    assert not warnings_of(lambda: warn_of_labels(scan))
