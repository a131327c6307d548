"""What importing costs, and where things run."""

import ast
import re
import subprocess
import sys
from pathlib import Path

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


def rooms():
    """The row of each module in the map of them."""
    text = (Path(__file__).parents[1] / "docs/modules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name: row for row, names in enumerate(rows) for name in re.findall(r"`(\w+)`", names)}


def imported(file):
    """The modules of the package that a file imports, when it is loaded or later."""
    nodes = [
        n
        for n in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(n, ast.ImportFrom)
    ]
    return {n.module.split(".")[1] for n in nodes if n.module.startswith("oneslice.")}


def test_imports_point_down_in_the_map_of_modules():
    package, map_ = Path(oneslice.__file__).parent, rooms()
    files = {f: f.relative_to(package).with_suffix("").parts[0] for f in package.rglob("*.py")}
    assert set(map_) == set(files.values()) - {"__init__"}
    up = [
        f"{file.relative_to(package)} imports {other}"
        for file, own in files.items()
        if own != "__init__"
        for other in imported(file)
        if map_[other] < map_[own]
    ]
    assert not up


def test_devices():
    assert resolve(Device.CPU) == torch.device("cpu")
    there = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (resolve(Device.AUTO) == torch.device("cpu")) == (not there)
    with pytest.raises(InputError, match="auto, cpu, cuda, mps"):
        resolve("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="--device cpu"):
            resolve(Device.CUDA)
