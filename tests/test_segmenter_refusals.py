"""What the Segmenter cannot do is answered with what it wants."""

import numpy as np
import pytest

from oneslice import Segmenter
from oneslice.errors import InputError, ModelError
from tests.cohort import SHORT, patient


@pytest.mark.parametrize(
    ("scan", "support", "message"),
    [
        (np.zeros((4, 4, 4)), None, r"Geometry\.from_parts"),
        (None, None, "a path or a Volume"),
        ("scan.nii.gz", "labels.nii.gz", r"Support\.load"),
        ("scan.nii.gz", ["labels.nii.gz"], r"Support\.load"),
    ],
)
def test_other_things_are_answered_with_what_is_wanted(segmenter, scan, support, message):
    with pytest.raises(InputError, match=message):
        segmenter.segment(scan, support or patient(0).support)


def test_one_scan_is_not_many(segmenter):
    with pytest.raises(InputError, match="give a list"):
        next(segmenter.segment_many("scan.nii.gz", patient(0).support))
    with pytest.raises(InputError, match=r"Settings\("):
        Segmenter("mini", "cpu", {"search": "pool"})
    with pytest.raises(ModelError, match="a name or a path"):
        Segmenter(None)


def test_what_cannot_be_done_is_refused(segmenter):
    scan, support = patient(2, SHORT).image, patient(1).support
    with pytest.raises(InputError, match="no support"):
        segmenter.segment(scan, [])
    with pytest.raises(InputError, match="from 0 to 2, not 5"):
        segmenter.segment(scan, support, axis=5)
    with pytest.raises(ModelError):
        Segmenter("sam9-huge", "cpu", offline=True)
