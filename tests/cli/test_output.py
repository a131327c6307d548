from pathlib import Path

import pytest

from oneslice.batch import CaseReport
from oneslice.cli.output import print_facts, print_table
from oneslice.cli.reports import print_reports
from oneslice.segmentation import Doubt
from oneslice.tabular import Table
from oneslice.volume import Structure

NAMES = tuple(f"structure number {n}" for n in range(12))


def test_a_wide_table_is_whole_where_no_terminal_limits_it(capsys):
    print_table(Table("Dice", ("method", *NAMES), (("copy", *("12.3 ± 4.5",) * 12),), ("a note",)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Dice" and lines[-1] == "  a note"
    assert any(all(name in line for name in NAMES) for line in lines)
    assert any(line.count("12.3 ± 4.5") == 12 for line in lines)


@pytest.mark.parametrize(
    ("value", "words"), [(True, "yes"), (12345, "12,345"), ([], "none"), (None, "unknown")]
)
def test_facts_are_said_in_words(value, words, capsys):
    print_facts({"fact": value})
    assert words in capsys.readouterr().out


def test_the_table_of_a_batch_names_the_worst_slice(capsys, tmp_path):
    liver = Structure(1, "liver", (1, 2, 3))
    doubts = [Doubt(3, liver, 0.2), Doubt(5, liver, 0.9)]  # the worst first
    report = CaseReport(Path("p.nii"), tmp_path / "p.nii.gz", 1.0, {"liver": 2.5}, doubts)
    print_reports([report], tmp_path, as_json=False)
    shown = capsys.readouterr().out
    assert "liver on slice 3 (0.20)" in shown and "slice 5" not in shown
