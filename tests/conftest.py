"""Settings that every test shares."""

import os

import pytest

# Two threads that wait for each other are slow on a busy machine; small networks need but one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# MKL rounds differently on each processor unless it is told which instructions to use. Left to
# itself it was ten times as far from the reference on one of them as on the others.
os.environ.setdefault("MKL_CBWR", "AVX2")


@pytest.fixture(scope="session")
def segmenter():
    """The shipped checkpoint, made quick."""
    from tests.segmenters import with_settings

    return with_settings()


@pytest.fixture(scope="session")
def backbone():
    """AlexNet's convolutions, random instead of trained."""
    import torch

    from oneslice.lpips import alexnet_features

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return alexnet_features()


@pytest.fixture(scope="session")
def lpips_folder(backbone, tmp_path_factory):
    """A hub folder with the backbone under its published name."""
    import torch

    home = tmp_path_factory.mktemp("hub")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    state = {f"features.{name}": weight for name, weight in backbone.state_dict().items()}
    state["classifier.1.weight"] = torch.zeros(2, 2)
    torch.save(state, home / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth")
    return home


@pytest.fixture
def lpips_home(lpips_folder, monkeypatch):
    """LPIPS finds its backbone here."""
    monkeypatch.setenv("TORCH_HOME", str(lpips_folder))
