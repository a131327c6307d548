"""Several equal processes: each makes its own clips, the gradients are averaged.

On a CPU two processes of one thread each are faster than one of two threads, and far less
disturbed by other work on the machine. Start them with ``torchrun``; alone, nothing happens here.
"""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start() -> tuple[int, int]:
    """Joins the group if there is one: (rank, number of processes)."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return dist.get_rank(), count
    return 0, 1


def stop() -> None:
    """Leaves the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def average(parameters: Iterable[nn.Parameter], extra: Tensor) -> Tensor:
    """Averages all gradients, and ``extra`` (n,), over the processes in one message."""
    if not dist.is_initialized():
        return extra
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), extra.to(gradients[0].dtype)])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    start_at = 0
    for g in gradients:
        g.copy_(flat[start_at : start_at + g.numel()].view_as(g))
        start_at += g.numel()
    return flat[start_at:].clone()  # a view would keep the whole message in memory


def share(value: float) -> float:
    """The first process's value, in all of them."""
    if not dist.is_initialized():
        return value
    cell = torch.tensor([value], dtype=torch.float64)
    if torch.cuda.is_available():
        cell = cell.cuda()
    dist.broadcast(cell, 0)
    return float(cell)
