"""The benchmark runs; how fast is not asserted."""

import pytest
import torch
import torch.nn.functional as F

from tests.sam2.meta import ROUNDING, relative_error, require_meta


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_prints_every_table_and_draws_the_growth(tmp_path, capsys):
    require_meta()
    from benchmarks.__main__ import main

    main(["--smoke", "--plot", str(tmp_path / "growth.png")])
    printed = capsys.readouterr().out
    titles = ("Speed", "The encoder alone", "Levers", "The pipeline", "Peak memory")
    for title in (*titles, "Growth with structures"):
        assert f"### {title}" in printed
    assert "| 64 | 2 x 1 | 1 |" in printed
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_oneslice_gives_what_metas_peer_gives(tmp_path):
    require_meta()
    from benchmarks.peers import Peers

    peers = Peers(128, tmp_path)
    logits = peers.segmenting(1)().logits
    ours = F.interpolate(logits[None], (128, 128), mode="bilinear", align_corners=False)[0, 0]
    assert relative_error(ours, peers.meta_pair()) < ROUNDING
    assert peers.transformers_pair().isfinite().all()


def test_counts_operations():
    from benchmarks.operations import operations

    assert operations(lambda: torch.ones(2, 3) @ torch.ones(3, 4)) == 2 * 2 * 3 * 4


def test_counts_what_the_engine_does_for_several_structures(tmp_path):
    require_meta()
    from benchmarks.operations import operations
    from benchmarks.peers import Peers

    peers = Peers(64, tmp_path)
    one, two = (operations(peers.segmenting(structures)) for structures in (1, 2))
    assert one < two < 2 * one  # layer 0's self-attention is shared
