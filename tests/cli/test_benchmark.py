import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from oneslice.cli import app
from oneslice.cli.benchmark import Target
from oneslice.errors import InputError
from oneslice.evaluation.datasets import Benchmark
from tests.cli.command import oneslice
from tests.evaluation.cohort import write_pairs


def run(*arguments):
    result = CliRunner().invoke(app, ["benchmark", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def pairs(tmp_path):
    write_pairs(tmp_path / "pairs", ["a", "b"])
    return tmp_path / "pairs"


def test_a_folder_of_pairs(pairs, tmp_path):
    out = tmp_path / "out"
    result = run("folder", "--data", pairs, "--method", "copy", "-o", out)
    assert "what a user gets" in result.output and "label 1" in result.output
    assert {p.name for p in out.iterdir()} == {
        "cases",
        "cases.csv",
        "manifest.json",
        "summary.json",
        "table.md",
    }
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["methods"]["copy"]["shots"] == 3
    assert manifest["versions"]["oneslice"]
    again = run("folder", "--data", pairs, "--method", "copy", "-o", out)
    assert "4 of 4 results are there already" in again.output


def test_an_error_before_anything_is_measured_stands_alone(pairs, tmp_path):
    arguments = ("benchmark", "folder", "--data", pairs, "--method", "copy", "-o", tmp_path / "out")
    assert oneslice(*arguments).code == 0
    done = oneslice(*arguments, "--shots", "1")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("oneslice: ") and "another shots of copy" in line


def test_json(pairs, tmp_path):
    options = ["--data", pairs, "--method", "copy", "-o", tmp_path / "out", "--json"]
    arguments = ["benchmark", "folder", *options, "--no-oracle", "--shots", 1]
    (row,) = json.loads(CliRunner().invoke(app, list(map(str, arguments))).stdout)
    assert row["extents"] == "no-oracle" and 0 < row["dice"] < 1


def test_a_benchmark_with_published_rows(tmp_path):
    write_pairs(tmp_path / "data", [f"patient{n:02}" for n in (1, 2, 3, 5, 8)])
    result = run(
        *("chaos-mri", "--data", tmp_path / "data", "--method", "copy", "--limit", 1),
        *("--folds", "1", "--oracle", "-o", tmp_path / "out"),
    )
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "arXiv 2503.04826" in table and "83.3" in table
    assert "folds 1 of 5, 1 scans" in table
    assert "liver not in" not in result.output
    assert "Not scored: fold 1, scan 1: spleen not in the support scan (8)." in table


def test_annotation_efficiency_has_a_plot(pairs, tmp_path):
    out = tmp_path / "out"
    run(*("folder", "--data", pairs, "--efficiency", "--method", "copy", "--oracle", "-o", out))
    assert (out / "plot.png").stat().st_size > 10_000
    rows = json.loads((out / "summary.json").read_text())
    dice = {row["variant"]: row["structures"][0]["dice"] for row in rows}
    assert dice["copy, same scan, 3 labelled"] > dice["copy, same scan, 1 labelled"]


def test_what_plots_is_asked_for_before_anything_is_measured(pairs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    options = ("--data", pairs, "--efficiency", "--method", "copy", "-o", tmp_path / "out")
    with pytest.raises(InputError, match="the plot needs matplotlib"):
        run("folder", *options)
    assert not (tmp_path / "out").exists()


def test_within_each_scan(pairs, tmp_path):
    rows = {}
    for where in ([], ["--within"]):
        out = tmp_path / f"out{len(where)}"
        run(*("folder", "--data", pairs, "--shots", 1, "--method", "copy", "-o", out, *where))
        rows[bool(where)] = json.loads((out / "summary.json").read_text())[0]["dice"]
        title = (out / "table.md").read_text(encoding="utf-8").splitlines()[0]
        assert ("within each scan" in title) is bool(where)
    assert rows[True] > rows[False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder", "--folds", "one"], "give numbers with commas"),
        (["folder", "--folds", "3"], "folds 1 to 2, not 3"),
        (["folder", "--parts", "0"], "can be cut into 2 to 2 folds, not 0"),
        (["folder", "--parts", "9"], "can be cut into 2 to 2 folds"),
        (["folder", "--tolerance", "inf"], "tolerance must be positive and finite"),
        (["cmr", "--parts", "2"], "--parts is for 'folder'"),
        (["folder", "--label", "other"], "--label is for the field's data sets"),
        (["folder", "--model", "mini", "--model", "a"], "add it, or give one"),
        (["folder", "--shots", "1", "--efficiency"], "leave --shots out"),
        (["folder", "--shots", "1", "--ablate", "shots"], "leave --shots out"),
        (["chaos-mri"], "looked for"),
        (["folder", "--ablate", "shots", "--efficiency"], "--ablate chooses its own rows"),
        (["folder", "--efficiency", "--within"], "leave --within out"),
    ],
)
def test_bad_options(pairs, tmp_path, arguments, message):
    data = tmp_path / "empty" if arguments[0] == "chaos-mri" else pairs
    data.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=message):
        run(*arguments, "--data", data, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_word_that_is_no_choice_is_answered_with_the_choices(pairs, tmp_path):
    done = run("folder", "--data", pairs, "--method", "magic", "-o", tmp_path / "out")
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    assert all(name in done.output for name in ("'magic'", "'copy'", "'registration'"))


def test_the_command_line_names_what_there_is():
    assert {t.value for t in Target} == {b.value for b in Benchmark} | {"folder"}


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from oneslice.cli import app\n"
        "try: app(['benchmark', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'SimpleITK', 'monai', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
