"""SAM 2's memory attention with the weights of a ``Sam2VideoModel``.

An image is first attended to by itself, which is done once for all of its structures.  Values are
projected after they are mixed, since there are fewer channels to mix in memory than behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from oneslice.errors import ModelError
from oneslice.sam2.kernels import apply, attend, feed_forward

if TYPE_CHECKING:
    from transformers import Sam2VideoModel


class MemoryAttention:
    """Conditions images on remembered frames.

    Args:
        model: its image size must not change afterwards.

    Raises:
        ModelError: its attention has several heads, which no SAM 2 has.
    """

    def __init__(self, model: Sam2VideoModel) -> None:
        attention = model.memory_attention
        if attention.layers[0].self_attn.num_attention_heads != 1:
            raise ModelError("memory attention has several heads: pass a SAM 2 checkpoint")
        self._layers, self._norm = attention.layers, attention.layer_norm
        self._activation = model.config.memory_attention_feed_forward_hidden_act
        size = torch.Size((1, model.hidden_dim, *model.backbone_feature_sizes[-1]))
        encoding = model.vision_encoder.neck.position_encoding
        device = attention.position_ids.device
        self._position = 0.1 * encoding(size, device, torch.float32)[0].flatten(1).T  # (HW, C)
        probe = torch.empty(0, device=device)
        cos, sin = attention.rotary_emb(probe, attention.position_ids)  # each (1, HW, C)
        self._turns = torch.complex(cos[0, :, ::2], sin[0, :, ::2])

    def start(self, top: Tensor) -> Tensor:
        """Images (N, HW, C) attending to themselves."""
        return self._self_attention(self._layers[0], top + self._position)

    def __call__(self, started: Tensor, keys: Tensor, values: Tensor, pointers: int) -> Tensor:
        """Started images (B, HW, C) conditioned on memory (B, L, D): (B, HW, C).

        Args:
            started: by ``start``.
            keys: memory with its positions.
            values: memory.
            pointers: how many of the L are object pointers, at the end; they have no place.
        """
        x = started
        for number, layer in enumerate(self._layers):
            if number > 0:
                x = self._self_attention(layer, x)
            x = self._cross_attention(layer, x, keys, values, pointers)
            y = layer.layer_norm3(x)
            x = x + feed_forward(layer.linear1, layer.linear2, y, self._activation)
        return self._norm(x)

    def _self_attention(self, layer: Any, x: Tensor) -> Tensor:
        attention, y = layer.self_attn, layer.layer_norm1(x)
        query, key = (
            self._turned(apply(attention.q_proj, y)),
            self._turned(apply(attention.k_proj, y)),
        )
        mixed = attend(query, key, apply(attention.v_proj, y), attention.scaling)
        return x + apply(attention.o_proj, mixed)

    def _cross_attention(
        self, layer: Any, x: Tensor, keys: Tensor, values: Tensor, pointers: int
    ) -> Tensor:
        attention = layer.cross_attn_image
        query = self._turned(apply(attention.q_proj, layer.layer_norm2(x)))
        key = apply(attention.k_proj, keys)
        places = key.shape[1] - pointers
        key = torch.cat([self._turned(key[:, :places]), key[:, places:]], 1)
        mixed = attend(query, key, values, attention.scaling)
        return x + apply(attention.o_proj, apply(attention.v_proj, mixed))

    def _turned(self, x: Tensor) -> Tensor:
        """Rotary positions for (B, frames HW, C)."""
        pairs = torch.view_as_complex(x.unflatten(1, (-1, len(self._turns))).unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * self._turns).flatten(-2).flatten(1, 2)
