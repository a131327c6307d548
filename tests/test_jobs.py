import re
from pathlib import Path

import pytest

from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.jobs import plan_jobs, refuse_unwritable

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


def test_results_are_named_after_links_not_after_what_they_lead_to(tmp_path):
    for number in ("1", "2"):
        (tmp_path / "pool").mkdir(exist_ok=True)
        (tmp_path / "pool" / f"{number}.nii.gz").touch()
        (tmp_path / f"s{number}").mkdir()
        (tmp_path / f"s{number}" / "T1.nii.gz").symlink_to(tmp_path / "pool" / f"{number}.nii.gz")
    scans = [tmp_path / "s1" / "T1.nii.gz", tmp_path / "s2" / "T1.nii.gz"]
    targets = [job.target for job in plan_jobs(scans, tmp_path / "out")]
    assert targets == [tmp_path / "out" / s / "T1.nii.gz" for s in ("s1", "s2")]


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(tmp_path):
    jobs = plan_jobs([Path("a/x.nii")], tmp_path / "new" / "deeper")
    refuse_unwritable(jobs)
    assert not any(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder with -o"):
        refuse_unwritable(plan_jobs([Path("a/x.nii")], tmp_path / "file" / "below"))
