"""Kernels and the encoder made of them, against PyTorch's and transformers' own."""

import pytest
import torch
import torch.nn.functional as F
from transformers import Sam2VideoModel

from benchmarks.meta_reference import randomize
from oneslice.errors import ModelError
from oneslice.sam2 import kernels
from oneslice.sam2.attention import MemoryAttention
from oneslice.sam2.encoder import ImageEncoder
from oneslice.sam2.meta_config import meta_config


def random_model(architecture: str, size: int) -> Sam2VideoModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Sam2VideoModel(meta_config(architecture, image_size=size))
    return randomize(model).eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=[True, False], ids=["onednn", "plain"])
def onednn(request, monkeypatch):
    monkeypatch.setattr(kernels, "_ONEDNN", request.param and kernels._ONEDNN)
    monkeypatch.setattr(kernels, "_KEEPS_FLOAT32", request.param and kernels._KEEPS_FLOAT32)


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("activation", ["none", "gelu", "relu", "silu"])
def test_linear_equals_pytorchs_layer(activation):
    layer = torch.nn.Linear(24, 40)
    x = noise(2, 3, 24)
    plain = {"none": lambda y: y, "gelu": F.gelu, "relu": F.relu, "silu": F.silu}
    with torch.inference_mode():
        ours = kernels.apply(layer, x, activation)
        assert torch.allclose(ours, plain[activation](layer(x)), atol=1e-6)


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("queries", [16, 129, 1100])
def test_attention_equals_pytorchs(queries):
    query, key, value = noise(2, queries, 32), noise(2, 70, 32), noise(2, 70, 8)
    ours = kernels.attend(query, key, value, 0.2)
    theirs = F.scaled_dot_product_attention(query, key, value, scale=0.2)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_attention_off_the_processor_has_the_same_shape():
    """Where there is no card, its way can at least be gone without numbers."""
    query, key, value = (
        torch.empty(3, *shape, device="meta") for shape in ((5, 8), (7, 8), (7, 4))
    )
    assert kernels.attend(query, key, value, 0.3).shape == (3, 5, 4)


def test_attention_leaves_the_precision_as_it_was():
    before = torch.backends.mkldnn.matmul.fp32_precision
    kernels.attend(noise(1, 8, 16), noise(1, 8, 16), noise(1, 8, 16), 0.25)
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_attention_in_pieces_equals_attention_at_once(monkeypatch):
    query, key, value = noise(6, 40, 16), noise(6, 50, 16), noise(6, 50, 16)
    whole = kernels.attend(query, key, value, 0.25)
    monkeypatch.setattr(kernels, "_ROWS", 7)
    monkeypatch.setattr(kernels, "_SCORES", 800)
    assert torch.allclose(kernels.attend(query, key, value, 0.25), whole, atol=1e-6)


def test_attention_takes_views():
    both = noise(2, 200, 3, 32)
    query, key, value = both.unbind(2)
    ours = kernels.attend(query, key, value, 0.2)
    theirs = F.scaled_dot_product_attention(query, key, value, scale=0.2)
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "size"), [("tiny", 128), ("tiny", 160), ("base-plus", 128), ("large", 64)]
)
def test_encoder_equals_transformers(architecture, size):
    model, images = random_model(architecture, size), noise(2, 3, size, size)
    with torch.inference_mode():
        ours = ImageEncoder(model)(images)
        fine, middle, top = model.get_image_features(images, return_dict=True).fpn_hidden_states
    assert torch.allclose(ours.top, top.transpose(0, 1), atol=1e-4)
    assert torch.allclose(ours.middle.flatten(2), middle.permute(1, 2, 0), atol=1e-4)
    assert torch.allclose(ours.fine.flatten(2), fine.permute(1, 2, 0), atol=1e-4)


def test_networks_unlike_sam2_are_refused():
    model = random_model("tiny", 64)
    model.vision_encoder.neck.fpn_top_down_levels = [1, 2, 3]
    with pytest.raises(ModelError, match="neck"):
        ImageEncoder(model)
    model.memory_attention.layers[0].self_attn.num_attention_heads = 2
    with pytest.raises(ModelError, match="heads"):
        MemoryAttention(model)
