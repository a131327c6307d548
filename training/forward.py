"""The differentiable clip: SAM 2's tracking as the engine runs it, written over its submodules.

Conventions that inference uses and training therefore keeps: a prompt mask goes at +-10 down to
a quarter of the size and back before it is binarised for the memory; its pointer is the one of
mask token 0; tracked frames use mask token 1, and their memories keep the soft mask.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import get_1d_sine_pe

from training.constants import constant


@dataclass
class Features:
    """Encoded frames: decoder maps, top map and its position encoding, all (N, C, h, w)."""

    fine: Tensor
    middle: Tensor
    top: Tensor
    place: Tensor

    def __getitem__(self, index: Tensor) -> "Features":
        return Features(self.fine[index], self.middle[index], self.top[index], self.place[index])


@dataclass
class Decoded:
    """What the decoder says of N objects: logits (N, 1, S/4, S/4), iou, token, score."""

    logits: Tensor
    iou: Tensor
    token: Tensor
    score: Tensor


@dataclass
class Memory:
    """Memory of N objects: features and their places (HW, N, 64), pointers (N, C)."""

    features: Tensor
    place: Tensor
    pointer: Tensor

    def __getitem__(self, index: Tensor) -> "Memory":
        return Memory(self.features[:, index], self.place[:, index], self.pointer[index])


def encode(model: Sam2VideoModel, pixels: Tensor) -> Features:
    """Images (N, 3, S, S) to features."""
    out = model.vision_encoder(pixels, return_dict=True)
    fine, middle, top = out.fpn_hidden_states
    decoder = model.mask_decoder
    place = out.fpn_position_encoding[2].expand(len(pixels), -1, -1, -1)
    return Features(decoder.conv_s0(fine), decoder.conv_s1(middle), top, place)


def decode(model: Sam2VideoModel, features: Features, top: Tensor, masks: Tensor | None) -> Decoded:
    """Runs the mask decoder; with prompt masks it answers with token 0, else with token 1."""
    n = len(top)
    points = torch.zeros(1, 1, 1, 2, device=top.device)
    labels = -torch.ones(1, 1, 1, dtype=torch.int32, device=top.device)
    sparse, dense = model.prompt_encoder(points, labels, None, masks)
    where = model.get_image_wide_positional_embeddings()
    logits, iou, token, score = model.mask_decoder(
        image_embeddings=top,
        image_positional_embeddings=where.expand(n, -1, -1, -1),
        sparse_prompt_embeddings=sparse.expand(n, -1, -1, -1),
        dense_prompt_embeddings=dense.expand(n, -1, -1, -1),
        multimask_output=masks is None,
        high_resolution_features=[features.fine, features.middle],
    )
    return Decoded(
        logits[:, 0].float(), iou[:, 0, 0].float(), token[:, 0, 0], score[:, 0, 0].float()
    )


def remember(
    model: Sam2VideoModel, top: Tensor, mask: Tensor, score: Tensor, token: Tensor
) -> Memory:
    """mask (N, 1, S, S) in [0, 1], object score (N,), decoder token (N, C) to a memory."""
    scaled = mask * model.config.sigmoid_scale_for_mem_enc + model.config.sigmoid_bias_for_mem_enc
    features, place = model.memory_encoder(top, scaled)
    seen = (score > 0).to(features.dtype)
    hidden = model.occlusion_spatial_embedding_parameter[..., None, None]
    features = features + (1 - seen)[:, None, None, None] * hidden
    pointer = model.object_pointer_proj(token)
    pointer = seen[:, None] * pointer + (1 - seen)[:, None] * model.no_object_pointer
    return Memory(_tokens(features), _tokens(place.expand_as(features)), pointer)


def remember_prompt(
    model: Sam2VideoModel, features: Features, mask: Tensor
) -> tuple[Memory, Tensor]:
    """A labelled frame to a memory: mask (N, 1, S, S) of 0 and 1; also the object score."""
    decoded = decode(model, features, features.top, model.mask_downsample(mask))
    shown = mask.flatten(1).any(1)
    gate = torch.where(shown, decoded.score, -torch.ones_like(decoded.score))
    # the spatial memory follows the mask alone, the pointer also the decoder's own score
    memory = remember(model, features.top, round_trip(mask), shown.float() - 0.5, decoded.token)
    seen = (gate > 0).to(memory.pointer.dtype)[:, None]
    memory.pointer = seen * memory.pointer + (1 - seen) * model.no_object_pointer
    return memory, decoded.score


def round_trip(mask: Tensor) -> Tensor:
    """A 0/1 mask as the memory sees it: to a quarter of the size and back, binarised."""
    size = mask.shape[-1]
    logits = mask * 20.0 - 10.0
    small = F.interpolate(logits, size=(size // 4,) * 2, mode="bilinear", antialias=True)
    return (F.interpolate(small, size=(size,) * 2, mode="bilinear") > 0).to(mask.dtype)


def attend(
    model: Sam2VideoModel,
    query: Features,
    memories: list[Memory],
    ages: list[int],
    times: list[float],
) -> Tensor:
    """Conditions N queries on memories; age 0 marks a prompt, times place the pointers.

    Returns the conditioned top map (N, C, h, w).
    """
    n, c, h, w = query.top.shape
    clock = model.memory_temporal_positional_encoding
    values = [m.features for m in memories]
    places = [m.place + clock[age - 1] for m, age in zip(memories, ages, strict=True)]
    parts = c // model.mem_dim
    split = torch.stack([m.pointer for m in memories]).unflatten(-1, (parts, -1))
    pointers = split.transpose(1, 2).flatten(0, 1)
    sine = get_1d_sine_pe(constant(tuple(times), query.top.device), dim=c)
    when = model.temporal_positional_encoding_projection_layer(sine.to(query.top.dtype))
    when = when.repeat_interleave(parts, 0)[:, None].expand(-1, n, -1)
    out = model.memory_attention(
        current_vision_features=_tokens(query.top),
        current_vision_position_embeddings=_tokens(query.place),
        memory=torch.cat([*values, pointers.to(values[0].dtype)]),
        memory_posision_embeddings=torch.cat([*places, when.to(places[0].dtype)]),
        num_object_pointer_tokens=len(pointers),
    )
    return out[0].transpose(1, 2).reshape(n, c, h, w)


def enlarge(logits: Tensor, size: int) -> Tensor:
    """Decoder logits to the image's size."""
    return F.interpolate(logits, size=(size, size), mode="bilinear")


def _tokens(x: Tensor) -> Tensor:
    """(N, C, h, w) to (hw, N, C)."""
    return x.flatten(2).permute(2, 0, 1)
