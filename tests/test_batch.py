import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest

from oneslice.batch import (
    CaseReport,
    Job,
    Reading,
    is_done,
    millilitres,
    plan_jobs,
    refuse_unwritable,
    run_jobs,
)
from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.formats import write_volume
from oneslice.geometry import Geometry
from oneslice.provenance import data_hash
from oneslice.segmentation import Segmentation
from oneslice.volume import LabelMap, Structure
from tests.cohort import SHORT, patient

OUT = Path("out")


def targets(*scans, out=OUT, form=None):
    return [str(job.target) for job in plan_jobs([Path(scan) for scan in scans], out, form)]


def test_outputs_are_named_after_scans():
    assert targets("a/x.nii", "b/y.mha", "c/z.png") == ["out/x.nii.gz", "out/y.mha", "out/z.nii.gz"]
    assert targets("a/x.nii", form=Format.SEG_NRRD) == ["out/x.seg.nrrd"]
    assert targets("a/x.nii", out=Path("o/y.nrrd")) == ["o/y.nrrd"]


def test_the_suffix_and_the_format_must_agree():
    assert targets("a/x.nii", out=Path("o/y.nrrd"), form=Format.NRRD) == ["o/y.nrrd"]
    with pytest.raises(InputError, match="not of the format mha"):
        targets("a/x.nii", out=Path("o/y.nrrd"), form=Format.MHA)


def test_equal_names_keep_the_folders_that_differ():
    assert targets("study/p1/t2/x.nii", "study/p2/t2/x.nii", "study/p2/t1/y.nii") == [
        "out/p1/t2/x.nii.gz",
        "out/p2/t2/x.nii.gz",
        "out/p2/t1/y.nii.gz",
    ]


@pytest.mark.parametrize("pair", [("x.nii", "x.nii.gz"), ("x.nii", "x.mha")])
def test_results_that_would_share_a_name_or_a_record_are_refused(pair):
    message = f"{pair[0]} and {pair[1]} would both be written to out/x.*; segment them apart"
    with pytest.raises(InputError, match=re.escape(message)):
        targets(*pair)


def test_failures_are_reported_and_the_others_go_on(segmenter, tmp_path):
    write_volume(patient(2, SHORT).image, tmp_path / "good.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes(b"")
    jobs = plan_jobs([tmp_path / "bad.nii.gz", tmp_path / "good.nii.gz"], tmp_path / "out")
    calls = []
    reports = run_jobs(
        segmenter, jobs, patient(1).support, progress=lambda *call: calls.append(call)
    )
    bad = next(reports)
    assert "is empty" in bad.error and not (tmp_path / "out").exists() and calls == []
    (good,) = reports
    assert good.error is None and good.target.exists() and good.volumes["liver"] > 100
    assert calls == [(jobs[1], done, 8) for done in range(9)]
    again = run_jobs(segmenter, jobs[1:], patient(1).support)
    assert "exists already" in next(again).error


def test_a_scan_that_has_no_dicom_segmentation_is_not_segmented_first(segmenter, tmp_path):
    write_volume(patient(2, SHORT).image, tmp_path / "p.nii.gz")
    job, calls = Job(tmp_path / "p.nii.gz", tmp_path / "out.seg.dcm"), []
    reports = run_jobs(segmenter, [job], patient(1).support, progress=lambda *c: calls.append(c))
    assert "is no DICOM scan" in next(reports).error and calls == []


def test_frames_and_axes_reach_the_reader(segmenter, tmp_path):
    film = np.stack([patient(2, SHORT).image.array] * 2, -1)
    nibabel.save(nibabel.Nifti1Image(film, np.eye(4)), tmp_path / "p.nii.gz")
    job = Job(tmp_path / "p.nii.gz", tmp_path / "out.nii.gz")
    reading = Reading(frame=2)
    (report,) = run_jobs(segmenter, [job], patient(1).support, reading=reading)
    assert "no frame 2" in report.error
    (report,) = run_jobs(segmenter, [job], patient(1).support, reading=Reading(None, 1, 7))
    assert "from 0 to 2, not 7" in report.error and not job.target.exists()


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(tmp_path):
    jobs = plan_jobs([Path("a/x.nii")], tmp_path / "new" / "deeper")
    refuse_unwritable(jobs)
    assert not any(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder with -o"):
        refuse_unwritable(plan_jobs([Path("a/x.nii")], tmp_path / "file" / "below"))


def test_small_volumes_keep_their_digits():
    array = np.zeros((10, 10, 10), np.uint8)
    array[0, 0, :3] = 1
    grid = Geometry.from_parts(array.shape, (0.1, 0.1, 0.1))
    result = Segmentation(LabelMap(array, grid), np.ones((10, 1)), 2)
    assert millilitres(result) == {"label 1": 3e-6}


def test_volumes_in_millilitres():
    array = np.zeros((10, 10, 10), np.uint16)
    array[:5] = 700
    grid = Geometry.from_parts(array.shape, (1.0, 2.0, 5.0))
    structures = (Structure(3, "absent", (0, 0, 0)), Structure(700, "half", (0, 0, 0)))
    result = Segmentation(LabelMap(array, grid, structures), np.ones((10, 2)), 2)
    assert millilitres(result) == {"absent": 0.0, "half": 5.0}


def test_a_failed_case_has_no_output_in_json():
    report = CaseReport(Path("a"), Path("b"), 1.234, error="why")
    assert report.as_json() == {
        "scan": "a",
        "output": None,
        "seconds": 1.23,
        "millilitres": {},
        "least_certain": [],
        "error": "why",
    }


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


def test_results_are_named_after_links_not_after_what_they_lead_to(tmp_path):
    for number in ("1", "2"):
        (tmp_path / "pool").mkdir(exist_ok=True)
        (tmp_path / "pool" / f"{number}.nii.gz").touch()
        (tmp_path / f"s{number}").mkdir()
        (tmp_path / f"s{number}" / "T1.nii.gz").symlink_to(tmp_path / "pool" / f"{number}.nii.gz")
    scans = [tmp_path / "s1" / "T1.nii.gz", tmp_path / "s2" / "T1.nii.gz"]
    targets = [job.target for job in plan_jobs(scans, tmp_path / "out")]
    assert targets == [tmp_path / "out" / s / "T1.nii.gz" for s in ("s1", "s2")]


def test_what_another_process_has_done_meanwhile_is_passed_over(segmenter, tmp_path):
    scans = [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]
    for number, scan in enumerate(scans):
        write_volume(patient(number, SHORT).image, scan)
    jobs = plan_jobs(scans, tmp_path / "out")
    reports = run_jobs(segmenter, jobs, patient(1).support, skip_existing=True)
    first = next(reports)
    (other,) = run_jobs(segmenter, jobs[1:], patient(1).support)
    assert first.error is None and other.error is None
    assert list(reports) == []


def test_a_scan_that_is_missing_is_told_as_such(segmenter, tmp_path):
    (tmp_path / "gone.nii.gz").symlink_to(tmp_path / "nowhere.nii.gz")
    jobs = plan_jobs([tmp_path / "gone.nii.gz"], tmp_path / "out")
    (report,) = run_jobs(segmenter, jobs, patient(1).support)
    assert report.error.endswith("gone.nii.gz: there is no such file or folder")


def test_two_processes_at_the_same_scan_do_not_disturb_each_other(segmenter, tmp_path):
    write_volume(patient(0, SHORT).image, tmp_path / "a.nii.gz")
    jobs, support = plan_jobs([tmp_path / "a.nii.gz"], tmp_path / "out"), patient(1).support
    others = []

    def overtake(job, done, total):
        if not others:
            others.append(None)
            others[:] = run_jobs(segmenter, jobs, support)

    assert not [*run_jobs(segmenter, jobs, support, skip_existing=True, progress=overtake)]
    assert others[0].error is None and is_done(jobs[0])
