"""The README's snippets do what they say."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from examples.cohort import one_slice, patient
from oneslice.formats import write_label_map, write_volume
from oneslice.volume import LabelMap
from tests.cli.command import oneslice

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The files that the snippets name: two patients, and the liver on one slice of the first."""
    monkeypatch.chdir(tmp_path)
    patients = [patient(seed) for seed in (1, 2)]
    for scan, _ in patients:
        write_volume(scan, f"study/{scan.name}.nii.gz")
    label = one_slice(patients[0][1])
    liver = LabelMap((label.array == 1).astype(np.uint8), label.geometry)
    write_label_map(liver, "patient01-one-slice.nii.gz")
    arrays = {"image": patients[0][0].array, "other_image": patients[1][0].array}
    return arrays | {"labels": liver.array}


@pytest.mark.parametrize("snippet", PYTHON)
def test_python(snippet, study):
    exec(compile(snippet, "README.md", "exec"), study)


def test_python_writes_the_named_structure(study):
    exec(PYTHON[0], study)
    assert study["segmentation"].structures[0].name == "liver"
    assert study["segmentation"].array.any()
    assert Path("patient02-labels.seg.nrrd").exists() and Path("patient02-labels.json").exists()


def test_command_line(study):
    lines = "".join(CONSOLE).replace("\\\n", " ").splitlines()
    first, second = (line for line in lines if line.startswith("oneslice segment"))
    outcome = oneslice(*shlex.split(first)[1:])
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in Path("results").iterdir()) == [
        "patient01.json",
        "patient01.nii.gz",
        "patient02.json",
        "patient02.nii.gz",
    ]
    outcome = oneslice(*shlex.split(second)[1:])
    assert outcome.code == 0, outcome.err
    record = json.loads(Path("corrected/patient02.json").read_text())
    (given,) = (entry["slice"] for entry in record["slices"] if entry.get("given"))
    assert f"--slices {given} " in second


def test_every_named_option_and_command_exists():
    help_text = oneslice("segment", "--help").out
    for option in re.findall(r"`(--[a-z-]+)", README):
        assert option in help_text, option
    commands = oneslice("--help").out
    for command in re.findall(r"`oneslice ([a-z]+)`", README):
        assert command in commands, command
