import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from oneslice.errors import InputError
from oneslice.evaluation.datasets import open_folder
from oneslice.evaluation.methods.base import Method
from oneslice.evaluation.methods.copying import Copy
from oneslice.evaluation.plan import Extents, Status, plan
from oneslice.evaluation.protocol import Overlap
from oneslice.evaluation.results import RunFolder
from oneslice.evaluation.runner import Run, Variant
from oneslice.evaluation.scoring import score
from oneslice.evaluation.study import Study, conduct
from oneslice.evaluation.variants import Rows
from oneslice.formats import read_label_map
from tests.evaluation.cohort import make_scan, write_nifti, write_pairs


def study(dataset, *variants, **options):
    rows = Rows(variants or (Variant("copy", Copy(), 3),))
    extents = options.pop("extents", list(Extents))
    run = Run(dataset, dataset.chosen_folds(None), rows.variants, extents, 2.0, **options)
    return Study("small", run, rows)


def measure(what, folder, announced=None):
    announce = (lambda *numbers: announced.append(numbers)) if announced is not None else _ignore
    return conduct(what, RunFolder(folder), ["test"], announce, _ignore)


def _ignore(*_):
    pass


@pytest.fixture
def dataset(tmp_path):
    write_pairs(tmp_path / "pairs", ["a", "b", "c"])
    return open_folder(tmp_path / "pairs")


def test_dice_of_a_run_against_arithmetic_by_hand(dataset, tmp_path):
    report = measure(study(dataset), tmp_path / "out")
    labels = [dataset.cases[name].load().labels for name in "abc"]
    # the disc lies on slices 2 to 7: labelled 3, 5, 7; chunks of 5/3 slices from 2
    copies = {2: 3, 3: 3, 4: 5, 5: 5, 6: 7, 7: 7}
    expected = []
    for query, support in ((0, 1), (1, 2), (2, 0)):
        total = Overlap(0, 0, 0)
        for z, source in copies.items():
            total += Overlap.of(labels[support][source] == 1, labels[query][z] == 1)
        expected.append(total.dice)
    (known, unknown) = report.summaries
    assert known.structures[0].dice == pytest.approx(np.mean(expected))
    assert known.structures[0].spread == pytest.approx(np.std(expected, ddof=1))
    assert unknown.structures[0].dice < known.structures[0].dice
    assert known.structures[0].outside_ml.value == 0 < unknown.structures[0].outside_ml.value


class Interrupted(Copy):
    """A copy that is killed after some scans."""

    def __init__(self, scans):
        self.left = scans

    def segment(self, query, support, requests):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().segment(query, support, requests)


def without_seconds(folder):
    rows = list(csv.DictReader(io.StringIO((folder / "cases.csv").read_text(encoding="utf-8"))))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_a_killed_run_goes_on_to_the_same_table(dataset, tmp_path):
    undisturbed = measure(study(dataset), tmp_path / "one")
    with pytest.raises(KeyboardInterrupt):
        measure(study(dataset, Variant("copy", Interrupted(3), 3)), tmp_path / "two")
    announced = []
    resumed = measure(study(dataset), tmp_path / "two", announced)
    assert announced == [(3, 6)]
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")
    assert undisturbed.tables[0] == resumed.tables[0]
    again = Variant("copy", Interrupted(0), 3)  # everything is there: nothing is computed
    assert measure(study(dataset, again), tmp_path / "two").tables == resumed.tables


@pytest.mark.parametrize("content", ["", "\0\0", "[]", '{"scores": [{}], "seconds": 1}'])
def test_a_damaged_result_is_measured_again(dataset, tmp_path, content):
    undisturbed = measure(study(dataset), tmp_path / "out")
    damaged = tmp_path / "out/cases/copy/oracle/fold1-a.json"
    damaged.write_text(content)
    announced = []
    assert measure(study(dataset), tmp_path / "out", announced).tables[0] == undisturbed.tables[0]
    assert announced == [(5, 6)]
    assert len(json.loads(damaged.read_text())["scores"]) == 2


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"settings": 1}', '{"settings": {"run": 5}}']
)
def test_a_damaged_manifest_is_refused(dataset, tmp_path, content):
    measure(study(dataset), tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(content)
    with pytest.raises(InputError, match=r"manifest.json: is damaged; .*--output, or delete it"):
        measure(study(dataset), tmp_path / "out")
    manifest.unlink()
    announced = []
    measure(study(dataset), tmp_path / "out", announced)
    assert announced == [(6, 6)] and json.loads(manifest.read_text())["settings"]


def test_other_settings_are_refused_and_more_methods_are_not(dataset, tmp_path):
    measure(study(dataset), tmp_path / "out")
    with pytest.raises(InputError, match="another shots of copy; choose another"):
        measure(study(dataset, Variant("copy", Copy(), 1)), tmp_path / "out")
    more = Variant("copy", Copy(), 3), Variant("copy again", Copy(), 1)
    assert len(measure(study(dataset, *more), tmp_path / "out").summaries) == 4
    assert set(
        json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]["data"]
    ) == {
        "scan a",
        "scan b",
        "scan c",
    }


def test_a_method_that_a_later_start_leaves_out_keeps_its_settings(dataset, tmp_path):
    measure(study(dataset), tmp_path / "out")
    measure(study(dataset, Variant("other", Copy(), 3)), tmp_path / "out")
    with pytest.raises(InputError, match="another shots of copy"):
        measure(study(dataset, Variant("copy", Copy(), 1)), tmp_path / "out")


def test_a_result_by_another_support_is_measured_again(tmp_path):
    names = ["a", "b", "c", "d", "e", "f"]
    write_pairs(tmp_path / "pairs", names)
    late = [(tmp_path / "pairs" / name, tmp_path / f"late {name}") for name in "ef"]
    for here, there in late:
        here.rename(there)
    measure(study(open_folder(tmp_path / "pairs", 2)), tmp_path / "out")
    for here, there in late:
        there.rename(here)
    six = open_folder(tmp_path / "pairs", 2)
    resumed, fresh = (measure(study(six), tmp_path / name) for name in ("out", "fresh"))
    assert resumed.tables[0] == fresh.tables[0]
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "fresh")


def test_scans_with_nearly_the_same_name_have_results_of_their_own(tmp_path):
    write_pairs(tmp_path / "pairs", ["a b", "a_b", "a%20b", "ä"])
    folder = tmp_path / "out"
    measure(study(open_folder(tmp_path / "pairs", 2), extents=[Extents.KNOWN]), folder)
    kept = [json.loads(path.read_text())["unit"]["case"] for path in folder.rglob("fold*.json")]
    assert sorted(kept) == sorted(["a b", "a_b", "a%20b", "ä"])


def test_other_structures_are_refused(dataset, tmp_path):
    measure(study(dataset), tmp_path / "out")
    renamed = tuple(replace(s, name=f"new {s.value}") for s in dataset.structures)
    with pytest.raises(InputError, match="another structures; choose another --output"):
        measure(study(replace(dataset, structures=renamed)), tmp_path / "out")


def test_other_data_is_refused(dataset, tmp_path):
    measure(study(dataset), tmp_path / "out")
    _, labels = make_scan(7)
    write_nifti(tmp_path / "pairs" / "b" / "label.nii.gz", labels)
    with pytest.raises(InputError, match="another scan b"):
        measure(study(dataset), tmp_path / "out")


def test_a_resumed_run_keeps_the_versions_of_earlier_results(dataset, tmp_path, monkeypatch):
    def manifest_with(version):
        monkeypatch.setattr("oneslice.evaluation.study.versions", lambda: {"torch": version})
        measure(study(dataset), tmp_path)
        return json.loads((tmp_path / "manifest.json").read_text())

    first, again = manifest_with("1"), manifest_with("1")
    assert first["versions"] == {"torch": "1"} and again == first
    later = {"command": ["test"], "versions": {"torch": "2"}}
    assert manifest_with("2") == first | {"resumed": [later]}
    assert manifest_with("1") == manifest_with("2") == first | {"resumed": [later]}


def test_limit_and_predictions(tmp_path):
    write_pairs(tmp_path / "pairs", ["a", "b", "c", "d"])
    dataset = open_folder(tmp_path / "pairs", parts=2)
    report = measure(
        study(dataset, limit=1, predictions=True, extents=[Extents.KNOWN]), tmp_path / "out"
    )
    assert report.summaries[0].structures[0].scans == 2  # of two folds of two scans
    written = read_label_map(tmp_path / "out/predictions/copy/oracle/fold1-a.nii.gz")
    support = dataset.cases["c"].load()
    assert np.array_equal(written.array.T[4] == 1, support.labels[5] == 1)


def test_predictions_that_are_asked_for_later_are_written(dataset, tmp_path):
    measure(study(dataset), tmp_path / "out")
    measure(study(dataset, predictions=True), tmp_path / "out")
    assert len(list((tmp_path / "out/predictions").rglob("*.nii.gz"))) == 6


def test_predictions_within_a_scan_hold_what_was_given(dataset, tmp_path):
    within = Variant("copy", Copy(), 1, within=True)
    report = measure(
        study(dataset, within, predictions=True, extents=[Extents.UNKNOWN]), tmp_path / "out"
    )
    written = tmp_path / "out/predictions/copy/no-oracle"
    for number, summary in enumerate(report.summaries[0].structures, 1):
        found = []
        for fold, name in enumerate("abc", 1):
            array = read_label_map(written / f"fold{fold}-{name}.nii.gz").array.T
            found.append(Overlap.of(array == number, dataset.cases[name].load().labels == number))
        assert summary.dice == pytest.approx(np.mean([each.dice for each in found]))


def test_a_structure_that_the_support_lacks_is_said_and_not_scored(dataset, tmp_path):
    _, labels = make_scan(1)
    write_nifti(tmp_path / "pairs" / "b" / "label.nii.gz", np.where(labels == 2, 0, labels))
    report = measure(study(dataset), tmp_path / "out")
    table = report.tables[0]
    assert "Not scored: fold 1, scan a: label 2 not in the support scan (b)." in table.notes
    absent = "Not scored: fold 2, scan b: label 2 not in the query scan."
    assert absent in table.notes and absent not in report.tables[2].notes
    assert report.summaries[0].structures[1].scans == 1
    spurious = report.summaries[1].structures[1]
    assert spurious.scans == 2  # without the extent, what is found in b is false


def scans(dataset, *names):
    return [dataset.cases[name].load() for name in names]


def test_plans(dataset):
    query, support = scans(dataset, "a", "b")
    disc, square = plan(dataset.structures, query, support, 3, Extents.KNOWN)
    assert disc.request.labelled == (3, 5, 7)
    assert disc.request.slices == tuple(range(2, 8))
    assert disc.request.chunks == (0, 0, 1, 1, 2, 2)
    assert square.request.labelled == (1, 3, 4)
    whole = plan(dataset.structures, query, support, 3, Extents.UNKNOWN)[0].request
    assert whole.slices == tuple(range(9)) and whole.chunks is None


def test_within_a_scan_labelled_slices_are_not_segmented(dataset):
    (scan,) = scans(dataset, "a")
    disc, square = plan(dataset.structures, scan, scan, 3, Extents.KNOWN)
    assert disc.request.slices == (2, 4, 6)
    assert disc.request.chunks == (0, 1, 2)
    assert square.request.slices == (2,)
    assert plan(dataset.structures, scan, scan, 8, Extents.KNOWN)[1].status is Status.NOTHING_LEFT


def test_within_a_scan_labelled_slices_count_as_right(dataset):
    (scan,) = scans(dataset, "a")
    disc, _ = plan(dataset.structures, scan, scan, 3, Extents.KNOWN)
    nothing = score(disc, np.zeros(scan.labels.shape, bool), scan, 2.0)
    voxels = (scan.labels == 1).sum(axis=(1, 2))
    given = voxels[list(disc.given)].sum()
    assert disc.given == (3, 5, 7)
    assert nothing.dice == pytest.approx(2 * given / (given + voxels.sum()))
    other, _ = plan(dataset.structures, *scans(dataset, "a", "b"), 3, Extents.KNOWN)
    assert other.given == ()
    assert score(other, np.zeros(scan.labels.shape, bool), scan, 2.0).dice == 0


class Whole(Method):
    """Ignores extents and counts its calls."""

    name = "whole"
    uses_extent = False
    calls = 0

    def segment(self, query, support, requests):
        self.calls += 1
        return [np.ones(query.slices.shape, bool) for _ in requests]


def test_a_method_that_ignores_extents_runs_once_for_both_settings(dataset, tmp_path):
    method = Whole()
    report = measure(study(dataset, Variant("whole", method, 1)), tmp_path / "out")
    assert method.calls == 3
    known, unknown = (s.structures[0].dice for s in report.summaries)
    assert 0 < unknown < known
