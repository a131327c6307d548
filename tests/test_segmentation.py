import json

import numpy as np
import pytest

from oneslice.errors import InputError
from oneslice.geometry import Geometry
from oneslice.segmentation import Doubt, Segmentation
from oneslice.volume import LabelMap, Structure
from tests.cohort import patient

LIVER, SPLEEN, ABSENT = (
    Structure(n, name, (1, 2, 3)) for n, name in ((1, "liver"), (2, "spleen"), (5, "kidney"))
)


def test_a_person_is_pointed_to_the_least_certain_slice_of_each_structure_that_shows_it():
    array = np.zeros((4, 6, 3), np.uint8)
    array[:2, 1:4] = 1
    array[3, 3:6, 0] = 2
    confidence = np.ones((6, 3))
    confidence[:, 0] = [0.1, 0.9, 0.6, 0.7, 0.2, 0.2]
    confidence[:, 1] = [0.0, 0.0, 0.0, 0.8, 0.5, 0.9]
    labels = LabelMap(array, Geometry.from_parts(array.shape), (LIVER, SPLEEN, ABSENT))
    found = Segmentation(labels, confidence, slice_axis=1)
    assert found.doubts == [Doubt(4, SPLEEN, 0.5), Doubt(2, LIVER, 0.6)]
    assert str(found.doubts[0]) == "spleen on slice 4 (0.50)"


def test_results_are_written_with_their_record_or_not_at_all(segmenter, tmp_path):
    found = segmenter.segment(patient(2, shape=(40, 40, 2)).image, patient(1).support)
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(InputError, match=r"a\.json: exists already"):
        found.save(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.png: cannot write this kind of file"):
        found.save(tmp_path / "a.png")
    with pytest.raises(InputError, match="is no DICOM scan"):
        found.save(tmp_path / "c.dcm")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "b.json").mkdir()
    with pytest.raises(InputError, match=r"b\.json"):
        found.save(tmp_path / "b.nii.gz", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]
    written = found.save(tmp_path / "a.nii.gz", overwrite=True)
    assert "structures" in json.loads((tmp_path / "a.json").read_text())
    before = written.read_bytes()
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.json").mkdir()
    with pytest.raises(InputError, match=r"a\.json"):
        found.save(written, overwrite=True)
    assert written.read_bytes() == before
