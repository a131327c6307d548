from dataclasses import replace

import pytest

from oneslice.errors import InputError
from oneslice.evaluation.choices import Ablation, MethodName
from oneslice.evaluation.datasets import Benchmark
from oneslice.evaluation.literature import PUBLISHED
from oneslice.evaluation.methods.options import Options
from oneslice.evaluation.methods.registry import MethodMaker
from oneslice.evaluation.plan import Extents, Status
from oneslice.evaluation.results import CaseResult, Unit
from oneslice.evaluation.scoring import Score
from oneslice.evaluation.summary import summarise, unscored
from oneslice.evaluation.tables import dice_table, further_table
from oneslice.evaluation.variants import ablation, efficiency


def result(fold, case, dice, hd95=5.0, variant="copy", status=Status.SCORED):
    score = Score("liver", status)
    if status is Status.SCORED:
        figures = {"dice": dice, "hd95": hd95, "assd": 1.0, "nsd": dice}
        volumes = {"volume_ml": 10.0 * dice, "reference_ml": 10.0, "outside_ml": 0.0}
        score = Score("liver", status, 1, 1, 1, **figures, **volumes)
    unit = Unit(variant, Extents.KNOWN, fold, case, "s")
    return CaseResult(unit, (score,), 2.0, 100.0)


def test_folds_weigh_alike_and_the_spread_is_over_scans():
    results = [result(1, "a", 0.2), result(1, "b", 0.4), result(2, "c", 0.9)]
    (summary,) = summarise(results, ["liver"])
    assert summary.dice == pytest.approx(0.6)
    assert summary.structures[0].spread == pytest.approx(0.3606, abs=1e-4)
    table = dice_table([summary], Extents.KNOWN, None, [])
    assert table.rows == (("copy", "60.0 ± 36.1", "60.0"),)


def test_distances_are_means_over_what_was_found():
    results = [result(1, "a", 0.5, 4.0), result(1, "b", 0.0, None)]
    (summary,) = summarise(results, ["liver"])
    assert (summary.structures[0].hd95.value, summary.structures[0].hd95.count) == (4.0, 1)
    assert summary.structures[0].missed == 1
    row = further_table([summary], Extents.KNOWN, 2.0).rows[0]
    assert row[1] == "4.0" and row[4] == "1"


def test_memory_is_the_largest_and_time_the_mean_of_all_scans():
    peaks = [replace(result(1, "a", 0.5), peak_mib=peak) for peak in (100.0, 300.0, None)]
    (summary,) = summarise([replace(peaks[0], seconds=5.0), *peaks[1:]], ["liver"])
    assert further_table([summary], Extents.KNOWN, 2.0).rows[0][-2:] == ("3.0", "300")


def test_what_is_not_scored_never_counts_as_zero():
    results = [result(1, "a", 0.5), result(1, "b", 0, status=Status.NOT_IN_SUPPORT)]
    (summary,) = summarise(results, ["liver", "spleen"])
    assert summary.structures[0].dice == 0.5
    assert summary.dice is None  # no spleen at all: no mean over both
    assert unscored(results) == ["fold 1, scan b: liver not in the support scan (s)"]
    assert dice_table([summary], Extents.KNOWN, None, []).rows == (("copy", "50.0", "-", "-"),)


def test_published_rows_have_sources_and_footnotes():
    (summary,) = summarise([result(1, "a", 0.5)], ["liver"])
    table = dice_table([summary], Extents.KNOWN, Benchmark.CMR, ["mine"])
    assert ("SAM 2 tiny, plain [1]", "-", "66.6") in table.rows
    assert any(note.startswith("[2] arXiv 2503.04826") for note in table.notes)
    text = table.markdown()
    assert text.startswith("### Dice x 100") and "- mine" in text
    assert all(row.source and row.setting for row in PUBLISHED)


def test_the_steps_of_each_ablation():
    maker, options = MethodMaker(), Options(offline=True)
    assert [v.shots for v in ablation(maker, Ablation.SHOTS, [], options, 3).variants] == [1, 3]
    copies = ablation(maker, Ablation.AUGMENTATIONS, [], options, 3)
    assert [v.method.describe()["per_query"] for v in copies.variants] == [0, 2, 4]
    native = maker.native_size(options)
    parts = ablation(maker, Ablation.PARTS, [], options, 3).variants
    described = [variant.method.describe() for variant in parts]
    left_out = [sum(d[name] != value for name, value in described[0].items()) for d in described]
    assert left_out == [0, 1, 2] + [1] * 8  # registered masks: between scans and within one
    sizes = ablation(maker, Ablation.IMAGE_SIZE, [], options, 3)
    found = [v.method.describe()["image_size"] for v in sizes.variants]
    assert found == [native // 2, native, 2 * native]
    with pytest.raises(InputError, match="two different --model"):
        ablation(maker, Ablation.MODEL, ["mini", "mini"], options, 3)


def test_a_metric_that_cannot_be_had_is_left_out_and_said(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    rows = ablation(MethodMaker(), Ablation.METRIC, [], Options(offline=True), 3)
    assert [place.x for place in rows.places] == ["encoder", "ssim", "ncc"]
    assert "metric lpips was left out" in rows.notes[0]


def test_efficiency_within_and_across_scans():
    rows = efficiency(MethodMaker(), [MethodName.COPY], Options())
    assert [v.shots for v in rows.variants] == [1, 2, 3, 5, 8] * 2
    assert [v.within for v in rows.variants] == [False] * 5 + [True] * 5
    assert rows.places[5].line == "copy, same scan"
