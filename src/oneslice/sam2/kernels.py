"""The two operations that take nearly all the time on a CPU: linear layers and attention.

PyTorch has two libraries for products of float32 matrices. By itself it takes MKL; oneDNN was
twice as fast on an AMD processor with AVX-512 (docs/performance.md), and adds the bias and applies
the activation on the way. Both are float32: the results differ by rounding only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.activations import ACT2FN

# not on every platform, and not for ever: the operation is not part of PyTorch's public face
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_FUSED = ("none", "gelu", "relu")  # activations that oneDNN applies on the way
POSITIONS = 4096  # that go through a block's layers at once: what lies between stays in the cache
_ROWS = 512  # queries that attend at once
_SCORES = 2**21  # attention scores at once, as far as the rows allow


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str = "none"
) -> Tensor:
    """A linear layer and the activation after it, by its name in transformers."""
    if _ONEDNN and x.device.type == "cpu" and activation in _FUSED:
        fused: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "none")
        return fused
    y = F.linear(x, weight, bias)
    return y if activation == "none" else ACT2FN[activation](y)


def apply(layer: torch.nn.Linear, x: Tensor, activation: str = "none") -> Tensor:
    """A layer, and the activation after it."""
    return linear(x, layer.weight, layer.bias, activation)


def pointwise(conv: torch.nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a 1x1 convolution as those of a linear layer over the last axis."""
    assert conv.bias is not None
    return conv.weight.flatten(1), conv.bias


def feed_forward(
    first: torch.nn.Linear, second: torch.nn.Linear, x: Tensor, activation: str
) -> Tensor:
    """Two layers with an activation in between, for positions (B, ..., C)."""
    rows = x.flatten(0, -2)
    parts = [apply(second, apply(first, part, activation)) for part in rows.split(POSITIONS)]
    return torch.cat(parts).reshape(x.shape)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax attention (B, L, E) of queries (B, L, D), keys (B, S, D) and values (B, S, E)."""
    if query.device.type != "cpu":
        # without an axis of heads no fused kernel is taken
        query, key, value = query[:, None], key[:, None], value[:, None]
        return F.scaled_dot_product_attention(query, key, value, scale=scale)[:, 0]
    together = max(1, _SCORES // (min(query.shape[1], _ROWS) * key.shape[1]))
    parts = zip(*(x.split(together) for x in (query * scale, key, value)), strict=True)
    with _onednn_products():
        return torch.cat([_attend(*part) for part in parts])


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    keys, rows = key.transpose(1, 2), query.split(_ROWS, 1)
    return torch.cat([torch.bmm(torch.bmm(part, keys).softmax(-1), value) for part in rows], 1)


@contextmanager
def _onednn_products() -> Iterator[None]:
    """Products of many matrices go to oneDNN, too.

    PyTorch hands them over once they may be rounded to bfloat16. oneDNN does not make use of that
    on a processor without AMX; on any other nothing is changed.
    """
    if not _KEEPS_FLOAT32:
        yield
        return
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _keeps_float32() -> bool:
    """Whether the permission exists in this PyTorch, and is not made use of by this processor."""
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    safe = found.get("avx512_f") and not found.get("amx_tile")
    return bool(safe and hasattr(torch.backends.mkldnn, "matmul"))


_KEEPS_FLOAT32 = _keeps_float32()
