"""SAM 2's image encoder, Hiera and its neck, with the weights of a ``Sam2VideoModel``.

It computes what ``get_image_features`` does, but leaves out what does not change the result:
attention weights that nothing reads, projections of the padding of windows, position encodings
that stay the same, and 256 channels at strides 4 and 8 of which the mask decoder keeps a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.sam2.modeling_sam2 import do_pool, window_partition, window_unpartition

from oneslice.errors import ModelError
from oneslice.sam2.kernels import POSITIONS, apply, attend, feed_forward, linear, pointwise
from oneslice.sam2.state import Features

if TYPE_CHECKING:
    from transformers import Sam2VideoModel

_TOP_DOWN = [2, 3]  # the stages whose sum the neck takes, in every SAM 2


class ImageEncoder:
    """Encodes normalised images (N, 3, S, S).

    Args:
        model: its weights are read once, so they must not change afterwards.

    Raises:
        ModelError: its neck is not that of SAM 2.
    """

    def __init__(self, model: Sam2VideoModel) -> None:
        neck, decoder = model.vision_encoder.neck, model.mask_decoder
        if list(neck.fpn_top_down_levels) != _TOP_DOWN or len(neck.convs) != 4:
            raise ModelError("the image encoder's neck is not SAM 2's: pass a SAM 2 checkpoint")
        self._backbone = model.vision_encoder.backbone
        self._position = self._backbone._get_pos_embed(model.backbone_feature_sizes[0])
        coarsest, coarse, middle, fine = neck.convs
        self._coarsest, self._coarse = pointwise(coarsest), pointwise(coarse)
        self._middle = _joined(pointwise(middle), pointwise(decoder.conv_s1))
        self._fine = _joined(pointwise(fine), pointwise(decoder.conv_s0))

    def __call__(self, images: Tensor) -> Features:
        """What memory attention and the mask decoder read."""
        fine, middle, coarse, coarsest = self._stages(images)
        below = linear(coarsest, *self._coarsest).permute(0, 3, 1, 2)
        above = F.interpolate(below, scale_factor=2.0, mode="nearest").permute(0, 2, 3, 1)
        return Features(
            (linear(coarse, *self._coarse) + above).flatten(1, 2),
            linear(middle, *self._middle).permute(0, 3, 1, 2).contiguous(),
            linear(fine, *self._fine).permute(0, 3, 1, 2).contiguous(),
        )

    def _stages(self, images: Tensor) -> list[Tensor]:
        """The output (N, height, width, channels) of each stage, the finest first."""
        x = self._backbone.patch_embed(images) + self._position
        ends = []
        for number, block in enumerate(self._backbone.blocks):
            x = _block(block, x, self._backbone.config.hidden_act)
            if number in self._backbone.stage_ends:
                ends.append(x)
        return ends


def _joined(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two linear layers as one."""
    return second[0] @ first[0], second[0] @ first[1] + second[1]


def _block(block: Any, x: Tensor, activation: str) -> Tensor:
    normed = block.layer_norm1(x)
    if block.dim != block.dim_out:
        x = do_pool(apply(block.proj, normed), block.query_stride)
    x = x + _attention(block.attn, normed, block.window_size)
    y = block.layer_norm2(x)
    return x + feed_forward(block.mlp.proj_in, block.mlp.proj_out, y, activation)


def _attention(attention: Any, x: Tensor, window: int) -> Tensor:
    """Attention within windows (0: the whole image), with pooled queries where stages change."""
    _, height, width, _ = x.shape
    side = window or height
    windows, padded = window_partition(x, side)
    together = max(1, POSITIONS // side**2)
    mixed = torch.cat([_mix(attention, part) for part in windows.split(together)])
    stride = side // mixed.shape[1]
    sides = tuple(n // stride for n in padded)
    whole = window_unpartition(mixed, side // stride, sides, (height // stride, width // stride))
    return apply(attention.proj, whole)


def _mix(attention: Any, windows: Tensor) -> Tensor:
    """Windows (B, h, w, C) after attention, before their projection."""
    query, key, value = apply(attention.qkv, windows).chunk(3, -1)
    query = do_pool(query, attention.query_stride)
    heads = attention.num_attention_heads
    q, k, v = (_split_heads(t, heads) for t in (query, key, value))
    mixed = attend(q, k, v, attention.scale)
    return mixed.unflatten(0, (-1, heads)).transpose(1, 2).reshape(query.shape)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, h, w, heads C) to (B heads, h w, C)."""
    return x.flatten(1, 2).unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)
