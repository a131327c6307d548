import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from oneslice.augment import Augmentations
from oneslice.existing import Making, is_done, made_otherwise
from oneslice.formats import files_of
from oneslice.frames import Window
from oneslice.jobs import Job
from oneslice.provenance import data_hash
from oneslice.settings import Settings
from oneslice.support import Support
from oneslice.volume import Structure
from tests.cohort import SHORT, STRUCTURES, patient

SETTINGS = Settings(window=Window(0, 300), augmentations=Augmentations(4))
MAKING = Making([patient(1, SHORT).labelled([2])], SETTINGS, "weights")


@pytest.mark.parametrize(
    ("recorded", "content", "done"),
    [
        ("gone/image.nii.gz", b"scan", True),
        ("gone/image.nii.gz", b"another", False),
        ("c2/image.nii.gz", b"scan", False),
        ("c1/image.nii.gz", b"another", True),
    ],
    ids=["moved", "another in its place", "a copy", "where it was"],
)
def test_a_result_is_done_if_it_is_of_this_scan(tmp_path, recorded, content, done):
    """The name alone is not enough: many scans are called alike."""
    for case in ("c1", "c2"):
        (tmp_path / case).mkdir()
        (tmp_path / case / "image.nii.gz").write_bytes(b"scan")
    (tmp_path / "hashed").write_bytes(content)
    record = {"scan": str(tmp_path / recorded), "scan_sha256": data_hash([tmp_path / "hashed"])}
    (tmp_path / "out.json").write_text(json.dumps(record))
    job = Job(tmp_path / "c1" / "image.nii.gz", tmp_path / "out.nii.gz")
    assert not is_done(job)
    job.target.touch()
    assert not is_done(job)  # nothing is in it
    job.target.write_bytes(b"labels")
    assert is_done(job) is done


def test_scans_whose_headers_are_alike_are_told_apart(tmp_path):
    for case in ("gone", "here"):
        (tmp_path / case).mkdir()
        (tmp_path / case / "image.mhd").write_text("ElementDataFile = image.raw")
        (tmp_path / case / "image.raw").write_text(case)
    gone, job = tmp_path / "gone", Job(tmp_path / "here/image.mhd", tmp_path / "out.mha")
    digest = data_hash(files_of(gone / "image.mhd"))
    record = {"scan": str(gone / "image.mhd"), "scan_sha256": digest}
    (tmp_path / "out.json").write_text(json.dumps(record))
    job.target.write_bytes(b"labels")
    shutil.rmtree(gone)
    assert not is_done(job)
    (tmp_path / "here/image.raw").write_text("gone")  # moved
    assert is_done(job)


@pytest.fixture
def job(tmp_path):
    """A scan with a result that was made as MAKING says."""
    (tmp_path / "a.nii.gz").write_bytes(b"scan")
    (tmp_path / "out.nii.gz").write_bytes(b"labels")
    record = {
        "scan": str((tmp_path / "a.nii.gz").resolve()),
        "supports": [support.describe() for support in MAKING.supports],
        "settings": MAKING.settings.describe(),
        "checkpoint": {"name": "mini", "sha256": MAKING.checkpoint},
    }
    (tmp_path / "out.json").write_text(json.dumps(record))
    return Job(tmp_path / "a.nii.gz", tmp_path / "out.nii.gz")


def with_voxel(array):
    changed = array.copy()
    changed[44, 40, 2] += 1
    return changed


def renamed(support):
    others = (Structure(1, "Liver", (0, 0, 0)), *STRUCTURES[1:])
    return replace(support, labels=replace(support.labels, structures=others))


def moved(support):
    affine = support.image.geometry.affine.copy()
    affine[0, 3] += 1
    grid = replace(support.image.geometry, affine=affine)
    return Support(replace(support.image, geometry=grid), replace(support.labels, geometry=grid))


LABELS = {
    "a pixel of a label": lambda s: Support(
        s.image, replace(s.labels, array=with_voxel(s.labels.array) % 4)
    ),
    "an intensity": lambda s: Support(replace(s.image, array=with_voxel(s.image.array)), s.labels),
    "its place": moved,
    "a name": renamed,
    "another slice": lambda s: patient(1, SHORT).labelled([1]),
    "another axis": lambda s: replace(s, axis=0),
}


@pytest.mark.parametrize("change", LABELS.values(), ids=LABELS)
def test_a_result_of_other_labels_is_known(job, change):
    assert made_otherwise(job, MAKING) == []
    other = replace(MAKING, supports=[change(each) for each in MAKING.supports])
    assert made_otherwise(job, other) == ["labels"]
    assert made_otherwise(job, replace(MAKING, supports=[*MAKING.supports] * 2)) == ["labels"]
    assert is_done(job) and is_done(job, MAKING) and not is_done(job, other)


def test_a_result_of_other_options_or_weights_is_known(job):
    for settings in (replace(SETTINGS, seed=1), replace(SETTINGS, window=Window(0, 301))):
        assert made_otherwise(job, replace(MAKING, settings=settings)) == ["options"]
    other = Making(MAKING.supports, Settings(), "others")
    assert made_otherwise(job, other) == ["options", "model"]


def test_where_labels_lie_does_not_matter_nor_how_their_array_is_laid_out(job):
    (support,) = MAKING.supports
    image = replace(support.image, array=np.asfortranarray(support.image.array), name="elsewhere")
    assert made_otherwise(job, replace(MAKING, supports=[Support(image, support.labels)])) == []
    assert made_otherwise(job, replace(MAKING, settings=replace(SETTINGS, memory=99))) == []
