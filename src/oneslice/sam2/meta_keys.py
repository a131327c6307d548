"""From the parameter names of Meta's SAM 2 code to those of transformers' ``Sam2VideoModel``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

POINT_EMBEDDINGS = "prompt_encoder.point_embeddings."
POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"

# Each part of the network, in Meta's name and in transformers'.
_PARTS = {
    "image_encoder.trunk.": "vision_encoder.backbone.",
    "image_encoder.neck.": "vision_encoder.neck.",
    "sam_prompt_encoder.": "prompt_encoder.",
    "sam_mask_decoder.": "mask_decoder.",
    "obj_ptr_proj.": "object_pointer_proj.",
    "obj_ptr_tpos_proj.": "temporal_positional_encoding_projection_layer.",
    "maskmem_tpos_enc": "memory_temporal_positional_encoding",
    "no_mem_embed": "no_memory_embedding",
    "no_mem_pos_enc": "no_memory_positional_encoding",
    "no_obj_ptr": "no_object_pointer",
    "no_obj_embed_spatial": "occlusion_spatial_embedding_parameter",
}

# Layers that have a number in Meta's code and a name in transformers'.
_NUMBERED = {
    "mask_downscaling": ("conv1", "layer_norm1", "", "conv2", "layer_norm2", "", "conv3"),
    "output_upscaling": ("upscale_conv1", "upscale_layer_norm", "", "upscale_conv2"),
    "mlp.layers": ("proj_in", "proj_out"),
    "head.layers": ("proj_in", "layers.0", "proj_out"),
}
_HEADS = r"(output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|pointer_proj)"

# Rewritings inside a part, applied in this order.
_REWRITINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"patch_embed\.proj\.", "patch_embed.projection."),
        (r"(neck\.convs\.\d+)\.conv\.", r"\1."),
        (r"\bnorm(\d|_|\.)", r"layer_norm\1"),
        (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
        (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
        (r"\bout_proj\.", "o_proj."),
        (r"\bpix_feat_proj\.", "feature_projection."),
        (r"\bfuser\.", "memory_fuser."),
        (r"\bgamma$", "scale"),
        (r"\bdwconv\.", "depthwise_conv."),
        (r"\bpwconv(\d)", r"pointwise_conv\1"),
    )
)


def rename_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename Meta's weights; a name that is not Meta's is left as it is."""
    import torch

    renamed = {rename(key): value for key, value in weights.items()}
    points = sorted(key for key in renamed if key.startswith(POINT_EMBEDDINGS))
    if points:
        rows = torch.cat([renamed.pop(key) for key in points])
        renamed["prompt_encoder.point_embed.weight"] = rows
    if POSITIONS in renamed:
        renamed["shared_image_embedding.positional_embedding"] = renamed[POSITIONS].clone()
    return renamed


def rename(key: str) -> str:
    """The name in transformers of one of Meta's parameters."""
    for meta, ours in _PARTS.items():
        if key.startswith(meta):
            key = ours + key.removeprefix(meta)
            break
    for pattern, replacement in _REWRITINGS:
        key = pattern.sub(replacement, key)
    key = re.sub(r"(mask_downscaling|output_upscaling|mlp\.layers)\.(\d)", _named_layer, key)
    key = re.sub(_HEADS + r"\.layers\.(\d)", _named_head_layer, key)
    return re.sub(r"mask_downsampler\.encoder\.(\d+)", _named_downsampler_layer, key)


def _named_layer(match: re.Match[str]) -> str:
    group, number = match[1], int(match[2])
    layer = _NUMBERED[group][number]
    return {"mask_downscaling": f"mask_embed.{layer}", "mlp.layers": f"mlp.{layer}"}.get(
        group, layer
    )


def _named_head_layer(match: re.Match[str]) -> str:
    return f"{match[1]}.{_NUMBERED['head.layers'][int(match[2])]}"


def _named_downsampler_layer(match: re.Match[str]) -> str:
    """Four rounds of convolution, norm and activation, then a last convolution."""
    stage, place = divmod(int(match[1]), 3)
    if stage == 4:
        return "mask_downsampler.final_conv"
    return f"mask_downsampler.layers.{stage}.{('conv', 'layer_norm', 'activation')[place]}"
