import pytest

from oneslice.cli.output import print_facts, print_table
from oneslice.evaluation.tabular import Table

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
