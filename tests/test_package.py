"""What importing costs, and where things run."""

import subprocess
import sys

import pytest
import torch

import oneslice
from oneslice.choices import Device
from oneslice.device import resolve
from oneslice.errors import InputError


def test_the_public_names_are_there_and_no_others():
    assert all(getattr(oneslice, name) for name in oneslice.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Segmentor'"):
        oneslice.Segmentor  # noqa: B018


@pytest.mark.parametrize("code", ["import oneslice", "import oneslice.cli, oneslice.batch"])
def test_the_command_line_starts_without_the_network_libraries(code):
    heavy = "{'torch', 'transformers', 'SimpleITK', 'scipy'}"
    check = f"{code}; import sys; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_devices():
    assert resolve(Device.CPU) == torch.device("cpu")
    there = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (resolve(Device.AUTO) == torch.device("cpu")) == (not there)
    with pytest.raises(InputError, match="auto, cpu, cuda, mps"):
        resolve("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="--device cpu"):
            resolve(Device.CUDA)
