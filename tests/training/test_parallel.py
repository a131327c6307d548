"""Two processes, each with clips of its own."""

import os
import socket

import torch
from torch import multiprocessing

from tests.training.test_train import TINY_SHAPE
from training.model import build_mini
from training.parallel import average
from training.train import Options, Trainer


def train_one_step(rank, out):
    """One of the processes; it leaves what it would log, and its weights."""
    os.environ["RANK"] = str(rank)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = Options(out=out, steps=1, sizes="64:1", pixels=64 * 64, targets=2)
    trainer = Trainer(options, build_mini(64, **TINY_SHAPE))
    trainer.run()
    figures = {name: float(values[0]) for name, values in trainer.figures.items()}
    torch.save((figures, trainer.model.state_dict()), out / f"{rank}.pt")


def test_two_processes_share_gradients_and_the_loss_that_is_logged(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in (group | {"CUDA_VISIBLE_DEVICES": ""}).items():
        monkeypatch.setenv(name, value)
    multiprocessing.spawn(train_one_step, (tmp_path,), nprocs=2)
    (first, weights), (second, others) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first["loss"] == second["loss"]
    assert first["copy"] != second["copy"]  # other clips
    assert all(torch.equal(weights[name], value) for name, value in others.items())


def test_a_process_alone_averages_nothing():
    layer = torch.nn.Linear(2, 2)
    layer.weight.grad = torch.ones(2, 2)
    assert average(layer.parameters(), torch.tensor([3.0])).tolist() == [3]
    assert torch.equal(layer.weight.grad, torch.ones(2, 2))
