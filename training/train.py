"""Trains ``mini`` on synthetic clips: ``python -m training.train OUT --minutes 60``.

The run resumes from OUT/state if there is one. The learning rate and the image size follow the
share of the budget that is spent, so a run may be cut into slices with ``--slice-minutes``.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import Sam2VideoModel

from training import parallel
from training.clips import Plan, draw_kind, make_clips
from training.losses import Weights, clip_loss, copy_dice
from training.model import averaged, build_mini, load_model, set_size
from training.optimise import Optimiser, ema_decay
from training.rng import Draw, step_seed
from training.rollout import run_clip
from training.state import load_shards, read_json, replace_folder, save_shards, write_json


@dataclass(frozen=True)
class Options:
    """Everything that decides the outcome of a run."""

    out: Path
    minutes: float = 60.0
    slice_minutes: float = math.inf  # stop after this time; a later call resumes
    slice_steps: int = 0  # the same, in steps
    steps: int = 0  # if set, the budget is counted in steps, and the run is deterministic
    initial: str = ""  # a checkpoint or state folder whose weights begin the run
    seed: int = 1
    device: str = "cpu"
    sizes: str = "128:0.6,192:0.8,256:1.0"  # image size until that share of the budget
    pixels: int = 8 * 128 * 128  # batch times size squared, per process
    targets: int = 4
    rate: float = 1e-3
    muon: bool = False
    attention: str = "auto"  # "eager" trains faster than the fused kernel on a CPU
    save_every: float = 5.0  # minutes
    log_every: int = 20
    threads: int = 1

    def stage(self, progress: float) -> int:
        """Image size at this share of the budget."""
        for part in self.sizes.split(","):
            size, until = part.split(":")
            if progress < float(until):
                return int(size)
        return int(self.sizes.split(",")[-1].split(":")[0])


class Trainer:
    """Holds the model, its average, the optimiser and the counters."""

    def __init__(self, options: Options, model: Sam2VideoModel | None = None) -> None:
        self.options = options
        self.rank, self.world = parallel.start()
        torch.manual_seed(options.seed)
        self.device = torch.device(options.device)
        model = model or build_mini(options.stage(0.0))
        if options.initial:
            model.load_state_dict(load_model(Path(options.initial)).state_dict())
        self.model = model.to(self.device).train()
        kernel = {"cpu": "eager"}.get(self.device.type, "sdpa")
        self.model.set_attn_implementation(
            kernel if options.attention == "auto" else options.attention
        )
        # a processor without the instructions emulates bfloat16, several times slower than float32
        self.halves = self.device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
        self.optimiser = Optimiser(self.model, options.rate, options.muon)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.step, self.spent, self.size, self.clips = 0, 0.0, options.stage(0.0), 0
        self.figures: dict[str, list[Tensor]] = {}
        if (options.out / "state").exists():
            self.load()

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        if self.options.steps:
            return self.step / self.options.steps
        return self.spent / (60 * self.options.minutes)

    def run(self) -> None:
        """Trains until the budget or this slice ends, saving now and then."""
        self.options.out.mkdir(parents=True, exist_ok=True)
        begun = last = saved = time.monotonic()
        until = self.step + self.options.slice_steps if self.options.slice_steps else math.inf
        while True:
            self._train_step(parallel.share(self.progress))
            now = time.monotonic()
            self.spent, last = self.spent + now - last, now
            done = self.progress >= 1 or now - begun > 60 * self.options.slice_minutes
            done = bool(parallel.share(float(done or self.step >= until)))
            if self.step % self.options.log_every == 0:
                self._log()
            if done or now - saved > 60 * self.options.save_every:
                saved = now
                self.save()
            if done:
                break
        parallel.stop()

    def _train_step(self, progress: float) -> None:
        options = self.options
        self._resize(options.stage(progress))
        coin = torch.Generator().manual_seed(step_seed(options.seed, self.step))
        supports, chain = draw_kind(coin)
        batch = max(1, options.pixels // self.size**2)
        seed = step_seed(options.seed + 77, self.step * self.world + self.rank)
        closeup = 0.35 + 0.3 * (256 - self.size) / 128  # few pixels: show less of the body
        plan = Plan(batch=batch, targets=options.targets, size=self.size, closeup=closeup)
        clip = make_clips(Draw(seed, self.device), plan, supports, chain)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.halves):
            rollout = run_clip(self.model, clip, coin, max(0.15, 0.6 - 1.5 * progress))
        loss, figures = clip_loss(rollout, Weights())
        loss.backward()
        (mean,) = parallel.average(self.model.parameters(), loss.detach()[None])
        self.optimiser.step(progress)
        self._blend()
        self.step += 1
        self.clips += batch * self.world
        extra = ("loss", mean), ("copy", copy_dice(clip))
        for name, value in (*figures.items(), *extra):
            self.figures.setdefault(name, []).append(value)

    def _resize(self, size: int) -> None:
        if size != self.size or self.model.config.image_size != size:
            set_size(self.model, size)
            self.size = size

    @torch.no_grad()
    def _blend(self) -> None:
        """Moves the averaged weights towards the current ones."""
        keep = ema_decay(self.step)
        floats = [(self.average[k], v) for k, v in self.model.state_dict().items()]
        torch._foreach_lerp_([a for a, _ in floats], [v for _, v in floats], 1 - keep)

    def _log(self) -> None:
        if self.rank:
            self.figures.clear()
            return
        means = {k: round(float(torch.stack(v).mean()), 4) for k, v in self.figures.items()}
        rate = self.optimiser.rate_at(self.progress)
        row = {"step": self.step, "minutes": round(self.spent / 60, 2), "clips": self.clips}
        row |= {"size": self.size, "rate": round(rate, 6)} | means
        with (self.options.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        self.figures.clear()

    def save(self) -> None:
        """Writes state and a loadable checkpoint of the averaged weights."""
        if self.rank:
            return
        fresh = self.options.out / "state.new"
        fresh.mkdir(parents=True, exist_ok=True)
        save_shards(self.model.state_dict(), fresh, "model")
        save_shards(self.average, fresh, "average")
        save_shards(self.optimiser.tensors(), fresh, "optimiser")
        counters = {"step": self.step, "spent": self.spent, "clips": self.clips}
        write_json(fresh / "counters.json", counters)
        replace_folder(fresh, self.options.out / "state")

    def load(self) -> None:
        """Reads what :meth:`save` wrote."""
        folder = self.options.out / "state"
        self.model.load_state_dict(load_shards(folder, "model"))
        loaded = load_shards(folder, "average")
        self.average = {k: v.to(self.device) for k, v in loaded.items()}
        self.optimiser.restore(load_shards(folder, "optimiser"))
        counters = read_json(folder / "counters.json")
        self.step, self.clips = int(counters["step"]), int(counters["clips"])
        self.spent = counters["spent"]


def export(state: Path, target: Path, size: int = 256) -> Sam2VideoModel:
    """Writes the averaged weights of a state as a checkpoint in half precision."""
    model = averaged(state, size).eval().half()
    model.save_pretrained(target)
    return model


def parse() -> Options:
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    for name, field in Options.__dataclass_fields__.items():
        if name == "out":
            continue
        flag = "--" + name.replace("_", "-")
        if field.type is bool or field.type == "bool":
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(flag, type=field.type, default=field.default)
    return Options(**vars(parser.parse_args()))


def main() -> None:
    """Trains, then writes the checkpoint beside the state."""
    options = parse()
    torch.set_num_threads(options.threads)
    trainer = Trainer(options)
    trainer.run()
    if trainer.rank == 0:
        export(options.out / "state", options.out / "checkpoint")


if __name__ == "__main__":
    main()
