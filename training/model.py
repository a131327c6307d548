"""The architecture of ``mini``: transformers' Sam2VideoModel, small, with a useful start."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Sam2VideoConfig, Sam2VideoModel

from training.state import load_shards

STRIDE = 4  # of the patch embedding; masks come out at size / STRIDE
TOP = 16  # stride of the map that memory and decoder work on


def mini_config(
    size: int = 256,
    dims: tuple[int, ...] = (48, 96, 192, 256),
    blocks: tuple[int, ...] = (1, 2, 5, 1),
    width: int = 128,
    layers: int = 2,
) -> Sam2VideoConfig:
    """Configuration for images of ``size`` pixels; no stored weight depends on the size."""
    grids = [[size // 4] * 2, [size // 8] * 2, [size // 16] * 2]
    return Sam2VideoConfig(
        image_size=size,
        num_maskmem=4,
        max_object_pointers_in_encoder=16,
        vision_config=_vision(size, dims, blocks, width, grids),
        prompt_encoder_config={"hidden_size": width, "image_size": size, "patch_size": TOP},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": 3 * width,
            "num_attention_heads": 4,
            "num_multimask_outputs": 1,
            "iou_head_hidden_dim": width,
            "dynamic_multimask_via_stability": False,
        },
        memory_attention_hidden_size=width,
        memory_attention_num_layers=layers,
        memory_attention_feed_forward_hidden_size=3 * width,
        memory_attention_dropout=0.0,
        memory_attention_rope_dropout=0.0,
        memory_attention_rope_feat_sizes=grids[2],
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=3 * width,
        memory_fuser_layer_scale_init_value=0.1,
    )


def _vision(
    size: int, dims: tuple[int, ...], blocks: tuple[int, ...], width: int, grids: list[list[int]]
) -> dict:
    third = blocks[0] + blocks[1]  # first block of the stage at stride 16
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": dims[0],
        "num_attention_heads": 1,
        "image_size": [size, size],
        "patch_kernel_size": [7, 7],
        "patch_stride": [STRIDE, STRIDE],
        "patch_padding": [3, 3],
        "blocks_per_stage": list(blocks),
        "embed_dim_per_stage": list(dims),
        "num_attention_heads_per_stage": [1, 2, 4, 4],
        "window_size_per_stage": [8, 4, 8, 4],
        "global_attention_blocks": list(range(third + 1, third + blocks[2], 2)),
        "window_positional_embedding_background_size": [8, 8],
    }
    return {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(dims[::-1]),
        "backbone_feature_sizes": grids,
        "fpn_hidden_size": width,
        "fpn_top_down_levels": [2, 3],
        "num_feature_levels": 3,
    }


def build_mini(size: int = 256, **shape: Any) -> Sam2VideoModel:
    """A model with random weights that starts close to 'copy the memory's mask'."""
    model = Sam2VideoModel(mini_config(size, **shape))
    with torch.no_grad():
        _fan_in(model)
        _quiet_residuals(model)
        _copy_prior(model)
        _small_vectors(model)
    return model


def averaged(state: Path, size: int = 256) -> Sam2VideoModel:
    """``mini`` with the averaged weights of a training state."""
    model = build_mini(size)
    model.load_state_dict(load_shards(state, "average"))
    return model


def load_model(folder: Path) -> Sam2VideoModel:
    """A checkpoint folder, or the averaged weights of a training state at 256 pixels."""
    if (folder / "counters.json").exists():
        return averaged(folder)
    return Sam2VideoModel.from_pretrained(folder, dtype=torch.float32)


def set_size(model: Sam2VideoModel, size: int) -> None:
    """Makes the training forward work at another image size; the weights stay as they are."""
    grid = size // TOP
    model.config.image_size = size
    model.config.memory_attention_rope_feat_sizes = [grid, grid]
    attention = model.memory_attention
    places = attention.precompute_positions(model.config)
    attention.position_ids = places.to(attention.position_ids.device)
    model.prompt_encoder.image_embedding_size = (grid, grid)
    model.prompt_encoder.mask_input_size = (4 * grid, 4 * grid)
    model.prompt_encoder.input_image_size = size


def _fan_in(model: nn.Module) -> None:
    """Unit-gain weights: the library's N(0, 0.02) starves layers as narrow as these."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.normal_(0, layer.in_features**-0.5)
        elif isinstance(layer, nn.ConvTranspose2d):
            layer.weight.normal_(0, layer.in_channels**-0.5)
        elif isinstance(layer, nn.Conv2d):
            layer.weight.normal_(0, layer.weight[0].numel() ** -0.5)
        elif isinstance(layer, nn.Embedding):
            layer.weight.normal_(0, 0.5)


def _quiet_residuals(model: nn.Module) -> None:
    """Layers that write into a residual stream start at half volume."""
    ends = ("o_proj", "linear2", "attn.proj", "mlp.proj_out", "pointwise_conv2")
    for name, layer in model.named_modules():
        if name.endswith(ends) and isinstance(layer, nn.Linear):
            layer.weight.mul_(0.5)


def _copy_prior(model: Sam2VideoModel) -> None:
    """Memory attention starts at 'the same place', and the mask is audible there.

    Constant query and key biases leave only the rotary part of the product, which peaks where
    both positions agree.
    """
    for layer in model.memory_attention.layers:
        cross = layer.cross_attn_image
        for projection in (cross.q_proj, cross.k_proj):
            projection.weight.mul_(0.2)
            projection.bias.fill_(2.5)
        cross.o_proj.weight.mul_(3.0)
    encoder = model.memory_encoder
    encoder.mask_downsampler.final_conv.weight.mul_(4.0)
    encoder.feature_projection.weight.mul_(0.5)
    for conv in model.vision_encoder.neck.convs:
        conv.weight.mul_(0.5)
    for head in model.mask_decoder.output_hypernetworks_mlps:
        head.proj_out.weight.mul_(0.3)


def _small_vectors(model: Sam2VideoModel) -> None:
    """Learned vectors that the library starts at zero, and one shared positional matrix."""
    for layer in model.memory_encoder.memory_fuser.layers:
        layer.scale.fill_(0.1)
    for vector in (
        model.memory_temporal_positional_encoding,
        model.no_memory_embedding,
        model.no_object_pointer,
        model.occlusion_spatial_embedding_parameter,
        model.vision_encoder.backbone.pos_embed,
        model.vision_encoder.backbone.pos_embed_window,
    ):
        vector.normal_(0, 0.02)
    matrix = model.shared_image_embedding.positional_embedding
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(matrix)
