from pathlib import Path

import nibabel
import numpy as np

from oneslice.batch import CaseReport, Reading, millilitres, run_jobs
from oneslice.existing import is_done
from oneslice.formats import write_volume
from oneslice.geometry import Geometry
from oneslice.jobs import Job, plan_jobs
from oneslice.segmentation import Segmentation
from oneslice.volume import LabelMap, Structure
from tests.cohort import SHORT, patient


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


def test_results_made_otherwise_are_passed_over_or_made_again(segmenter, tmp_path):
    write_volume(patient(0, SHORT).image, tmp_path / "a.nii.gz")
    jobs = plan_jobs([tmp_path / "a.nii.gz"], tmp_path / "out")
    first, second = (patient(1, SHORT).labelled([n]) for n in (1, 2))
    (report,) = run_jobs(segmenter, jobs, first)
    assert report.error is None
    again = {"skip_existing": True, "overwrite": True}
    assert [*run_jobs(segmenter, jobs, second, skip_existing=True)] == []
    assert [*run_jobs(segmenter, jobs, first, **again)] == []
    (report,) = run_jobs(segmenter, jobs, second, **again)
    assert report.error is None
    assert [*run_jobs(segmenter, jobs, second, **again)] == []
