"""The published SAM 2 architectures as transformers configurations, found from the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneslice.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Sam2VideoConfig

# Meta's files do not say the image size; the published models were trained at this one.
NATIVE_SIZE = 1024


@dataclass(frozen=True)
class Architecture:
    """What sets one published image encoder apart from the others.

    Args:
        width: the channels of the first stage; each later stage doubles them.
        heads: the attention heads of the first stage; each later stage doubles them.
        blocks: the blocks of each of the four stages.
        global_blocks: the blocks that attend to the whole image instead of a window.
        windows: the side of the attention window in each stage.
        background: the side of the stored grid of position embeddings.
    """

    name: str
    width: int
    heads: int
    blocks: tuple[int, int, int, int]
    global_blocks: tuple[int, int, int]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    background: int = 7


ARCHITECTURES = (
    Architecture("tiny", 96, 1, (1, 2, 7, 2), (5, 7, 9)),
    Architecture("small", 96, 1, (1, 2, 11, 2), (7, 10, 13)),
    Architecture("base-plus", 112, 2, (2, 3, 16, 3), (12, 16, 20), background=14),
    Architecture("large", 144, 2, (2, 6, 36, 4), (23, 33, 43), windows=(8, 4, 16, 8)),
)


def meta_config(
    architecture: str, *, version: str = "2.1", image_size: int = NATIVE_SIZE, memories: int = 7
) -> Sam2VideoConfig:
    """The configuration of a published model: ``meta_config("tiny", version="2.0")``."""
    arch = next(each for each in ARCHITECTURES if each.name == architecture)
    newer = version == "2.1"
    return _config(arch, image_size, memories, pointer_times=newer, occlusion=newer)


def config_of_weights(weights: Mapping[str, Tensor]) -> Sam2VideoConfig:
    """Find the architecture from the shapes of Meta's weights.

    Raises:
        ModelError: the image encoder is none of the published ones.
    """
    return _config(
        _architecture_of(weights),
        NATIVE_SIZE,
        memories=weights["maskmem_tpos_enc"].shape[0],
        pointer_times="obj_ptr_tpos_proj.weight" in weights,
        occlusion="no_obj_embed_spatial" in weights,
    )


def _architecture_of(weights: Mapping[str, Tensor]) -> Architecture:
    width = weights["image_encoder.trunk.patch_embed.proj.weight"].shape[0]
    blocks = sum(key.endswith(".attn.qkv.weight") for key in weights)
    for arch in ARCHITECTURES:
        if (arch.width, sum(arch.blocks)) == (width, blocks):
            return arch
    raise ModelError(
        f"an image encoder of {blocks} blocks and width {width} is none of SAM 2's "
        "(tiny, small, base-plus, large): convert it to transformers' format and pass the folder"
    )


def _config(
    arch: Architecture, image_size: int, memories: int, *, pointer_times: bool, occlusion: bool
) -> Sam2VideoConfig:
    from transformers import (
        Sam2VideoConfig,
        Sam2VideoMaskDecoderConfig,
        Sam2VideoPromptEncoderConfig,
        Sam2VisionConfig,
    )

    return Sam2VideoConfig(
        vision_config=Sam2VisionConfig(
            backbone_config=_backbone_config(arch, image_size),
            backbone_channel_list=[arch.width * 2**stage for stage in (3, 2, 1, 0)],
            backbone_feature_sizes=[[image_size // stride] * 2 for stride in (4, 8, 16)],
        ),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(image_size=image_size),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(),
        image_size=image_size,
        memory_attention_rope_feat_sizes=[image_size // 16] * 2,
        num_maskmem=memories,
        enable_temporal_pos_encoding_for_object_pointers=pointer_times,
        enable_occlusion_spatial_embedding=occlusion,
    )


def _backbone_config(arch: Architecture, image_size: int) -> Any:
    from transformers import Sam2HieraDetConfig

    return Sam2HieraDetConfig(
        image_size=[image_size, image_size],
        hidden_size=arch.width,
        num_attention_heads=arch.heads,
        embed_dim_per_stage=[arch.width * 2**stage for stage in range(4)],
        num_attention_heads_per_stage=[arch.heads * 2**stage for stage in range(4)],
        blocks_per_stage=list(arch.blocks),
        global_attention_blocks=list(arch.global_blocks),
        window_size_per_stage=list(arch.windows),
        window_positional_embedding_background_size=[arch.background] * 2,
    )
