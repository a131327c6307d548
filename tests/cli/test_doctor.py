"""``oneslice doctor`` on this machine, and on one where something is missing."""

import json
import os
import resource
import subprocess
import sys
from importlib import metadata

import pytest

from oneslice import config
from tests.cli.command import oneslice

HEAVY = ("torch", "transformers", "SimpleITK", "numpy", "monai", "highdicom", "huggingface_hub")


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ONESLICE_CONFIG_DIR", str(tmp_path / "settings"))


def diagnosis():
    outcome = oneslice("doctor", "--json")
    return outcome.code, json.loads(outcome.out)


def test_a_complete_installation_is_healthy(tmp_path):
    code, found = diagnosis()
    assert (code, found["problems"]) == (0, [])
    assert found["versions"]["torch"] == metadata.version("torch")
    assert {"python", "oneslice", "transformers", "simpleitk"} <= found["versions"].keys()
    assert found["device"]["cpu threads"] >= 1
    assert found["memory"]["total GiB"] > 0
    assert "mini" in found["models"]
    assert found["default_model"] == "mini"
    assert found["folders"]["settings"] == str(tmp_path / "settings")


def test_the_tables_name_everything():
    outcome = oneslice("doctor")
    assert outcome.code == 0
    for part in ("Versions", "torch", "cpu threads", "cuda", "total GiB", "mini", "model cache"):
        assert part in outcome.out
    assert "Everything that oneslice needs is here." in outcome.out


def test_a_missing_package_is_a_problem_with_its_remedy(monkeypatch):
    real = metadata.version

    def version(name):
        if name.lower() == "simpleitk":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    code, found = diagnosis()
    assert code == 1
    assert found["problems"] == [
        {
            "what": "the package simpleitk is not installed",
            "fix": "pip install 'simpleitk>=2.4'",
        }
    ]


def test_an_old_package_is_a_problem(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "numpy" else real(name))
    code, found = diagnosis()
    assert code == 1
    assert found["problems"][0]["what"] == "the package numpy is of version 0.1"
    assert found["problems"][0]["fix"] == "pip install 'numpy>=2.0'"


def test_a_default_model_that_is_gone_is_a_problem(tmp_path):
    config.set_default_model(str(tmp_path / "gone"))
    outcome = oneslice("doctor")
    assert outcome.code == 1
    assert "problem: there is no checkpoint at" in outcome.out
    assert "fix: check the path" in outcome.out


def test_damaged_settings_are_one_problem(tmp_path):
    (tmp_path / "settings").mkdir()
    config.config_file().write_text("{")
    code, found = diagnosis()
    assert (code, len(found["problems"])) == (1, 1)
    assert "delete the file" in found["problems"][0]["fix"]


def test_help_imports_nothing_heavy_and_takes_less_than_half_a_second():
    code = (
        "import sys; sys.argv = ['oneslice', '--help']\n"
        "from oneslice.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "COLUMNS": "100"}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=environment,
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "heavy: []" in printed
    assert "models" in printed and "doctor" in printed
    assert after.ru_utime - before.ru_utime < 0.5


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_told_otherwise(given, found):
    code = (
        "import os, sys; sys.argv = ['oneslice', '--help']\n"
        "from oneslice.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = others | ({"OMP_WAIT_POLICY": given} if given else {})
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == found
