from pathlib import Path

import pytest
import torch
from torch.distributed.run import get_args_parser
from transformers import Sam2VideoModel

from training.forward import attend, decode, encode, remember_prompt, round_trip
from training.model import build_mini, set_size
from training.optimise import Optimiser
from training.state import load_shards, save_shards, write_json
from training.train import Options, Trainer, export

TINY_SHAPE = {"dims": (16, 32, 64, 128), "blocks": (1, 1, 2, 1), "layers": 1}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(out: Path, **changes) -> Options:
    values = {"steps": 4, "sizes": "128:0.5,192:1", "pixels": 128 * 128, "targets": 2}
    return Options(out=out, muon=True, log_every=1, **(values | changes))


def trained(out: Path, **changes) -> Trainer:
    torch.manual_seed(0)
    trainer = Trainer(options(out, **changes), build_mini(128, **TINY_SHAPE))
    trainer.run()
    return trainer


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "cut", slice_steps=2)
    cut = trained(tmp_path / "cut", slice_steps=2)
    assert whole.step == cut.step == 4
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, cut.average[name]), name


def test_training_moves_the_weights_and_logs_every_step(tmp_path):
    torch.manual_seed(0)
    start = build_mini(128, **TINY_SHAPE).state_dict()
    end = trained(tmp_path).model.state_dict()
    moved = [name for name in start if not torch.equal(start[name], end[name])]
    assert len(moved) > 0.8 * len(start)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_gradients_that_are_not_finite_move_no_weight_to_where_it_is_lost():
    layer = torch.nn.Linear(4, 4)
    before = layer.weight.detach().clone()
    optimiser = Optimiser(layer, 0.1, muon=True)
    layer.weight.grad = torch.full((4, 4), torch.nan)
    layer.bias.grad = torch.ones(4)
    optimiser.step(0.5)
    assert torch.allclose(layer.weight, before, atol=1e-2)
    assert layer.bias.isfinite().all()


def test_torchrun_hands_every_option_on():
    """It takes an option that begins like one of its own for that one, and refuses it."""
    flags = [f"--{name.replace('_', '-')}" for name in Options.__dataclass_fields__]
    call = ["--nproc-per-node", "2", "-m", "training.train", "RUN", *flags]
    assert get_args_parser().parse_args(call).training_script_args == ["RUN", *flags]


def test_shards_stay_small_and_come_back_whole(tmp_path):
    tensors = {str(i): torch.randn(1_000_000) for i in range(9)}
    save_shards(tensors, tmp_path, "model")
    paths = list(tmp_path.glob("*.safetensors"))
    assert len(paths) == 3
    assert all(path.stat().st_size < 16_000_000 for path in paths)
    back = load_shards(tmp_path, "model")
    assert all(torch.equal(back[name], value) for name, value in tensors.items())


def test_a_run_begins_with_the_weights_of_a_state_or_a_checkpoint(tmp_path):
    torch.manual_seed(0)
    start, state, checkpoint = build_mini(128), tmp_path / "state", tmp_path / "checkpoint"
    state.mkdir()
    save_shards(start.state_dict(), state, "average")
    write_json(state / "counters.json", {"step": 1})
    start.save_pretrained(checkpoint)
    for number, folder in enumerate((state, checkpoint)):
        begun = Trainer(options(tmp_path / str(number), initial=str(folder))).model.state_dict()
        assert all(torch.equal(begun[name], value) for name, value in start.state_dict().items())


def test_a_checkpoint_of_the_average_loads_and_is_small(tmp_path):
    model = build_mini(256)
    (tmp_path / "state").mkdir()
    save_shards(model.state_dict(), tmp_path / "state", "average")
    export(tmp_path / "state", tmp_path / "mini")
    loaded = Sam2VideoModel.from_pretrained(tmp_path / "mini")
    assert loaded.config.image_size == 256
    assert sum(p.stat().st_size for p in (tmp_path / "mini").iterdir()) < 25_000_000
    assert 3e6 < sum(p.numel() for p in loaded.parameters()) < 12e6


def test_another_size_needs_no_other_weights():
    torch.manual_seed(0)
    resized, fresh = build_mini(128, **TINY_SHAPE), build_mini(192, **TINY_SHAPE)
    fresh.load_state_dict(resized.state_dict())
    set_size(resized, 192)
    image = torch.randn(2, 3, 192, 192)
    mask = torch.zeros(2, 1, 192, 192)
    mask[:, :, 30:80, 40:90] = 1
    with torch.no_grad():
        for model in (resized.eval(), fresh.eval()):
            features = encode(model, image)
            memory, _ = remember_prompt(model, features, mask)
            out = decode(model, features, attend(model, features, [memory], [0], [1.0]), None)
            model.answer = out.logits
    assert out.logits.shape == (2, 1, 48, 48)
    torch.testing.assert_close(resized.answer, fresh.answer)


def test_the_prompt_mask_loses_only_its_finest_detail():
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, 10:40, 20:50] = 1
    mask[:, :, 60, 60] = 1  # one pixel is too small for a quarter of the size
    kept = round_trip(mask)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert kept[0, 0, 60, 60] == 0
    assert (kept != mask).float().mean() < 0.01
