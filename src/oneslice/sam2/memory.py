"""SAM 2's memory encoder with the weights of a ``Sam2VideoModel``, channels last throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from oneslice.sam2.kernels import feed_forward, linear, pointwise

if TYPE_CHECKING:
    from transformers import Sam2VideoModel


class MemoryEncoder:
    """Fuses an image with a mask."""

    def __init__(self, model: Sam2VideoModel) -> None:
        encoder = model.memory_encoder
        self._grid = tuple(model.backbone_feature_sizes[-1])
        self._activation = model.config.memory_fuser_hidden_act
        self._downsample = encoder.mask_downsampler
        self._image = pointwise(encoder.feature_projection)
        self._layers = encoder.memory_fuser.layers
        self._output = pointwise(encoder.projection)

    def __call__(self, top: Tensor, masks: Tensor) -> Tensor:
        """Spatial memory (B, HW, D) of image features (B, HW, C) and masks (B, 1, S, S)."""
        x = linear(top, *self._image).unflatten(1, self._grid)
        x = x + self._downsample(masks).permute(0, 2, 3, 1)
        for layer in self._layers:
            x = x + layer.scale * self._fuse(layer, x)
        return linear(x.flatten(1, 2), *self._output)

    def _fuse(self, layer: Any, x: Tensor) -> Tensor:
        y = layer.depthwise_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        norm = layer.layer_norm
        y = F.layer_norm(y, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        return feed_forward(layer.pointwise_conv1, layer.pointwise_conv2, y, self._activation)
