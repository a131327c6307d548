"""Where the network runs."""

from __future__ import annotations

import torch

from oneslice.choices import Device, choose
from oneslice.errors import InputError


def resolve(device: Device | str) -> torch.device:
    """The device to run on.

    Raises:
        InputError: it is asked for by name and is not there, or there is no such name.
    """
    device = choose(Device, device, "device")
    there = {Device.CUDA: torch.cuda.is_available(), Device.MPS: torch.backends.mps.is_available()}
    if device is Device.AUTO:
        device = next((d for d, available in there.items() if available), Device.CPU)
    elif not there.get(device, True):
        raise InputError(f"no {device.value} device here; use --device cpu or --device auto")
    return torch.device(device.value)
