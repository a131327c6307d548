"""The SAM 2 memory engine: encode an image once, remember a mask, segment another image.

It runs the submodules of transformers' ``Sam2VideoModel`` in batches over slices and structures.
Where transformers departs from Meta's own code, with which the published weights were trained, it
follows Meta (``Behaviour``).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.sam2.attention import MemoryAttention
from oneslice.sam2.encoder import ImageEncoder
from oneslice.sam2.memory import MemoryEncoder
from oneslice.sam2.state import ABSENT, Features, Memory, Prediction, Remembered

if TYPE_CHECKING:
    from transformers import Sam2VideoModel

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Behaviour(Enum):
    """Whose treatment of a mask prompt to follow.

    META sends the mask through a quarter of the image size before it is remembered, and takes the
    object pointer from mask token 0; TRANSFORMERS remembers it at full size, and takes the pointer
    from the mask token with the best predicted IoU.
    """

    META = "meta"
    TRANSFORMERS = "transformers"


class Engine:
    """Encodes, remembers and segments with one SAM 2 model.

    Args:
        model: any ``Sam2VideoModel``; put into evaluation mode.
        behaviour: whose treatment of mask prompts to follow.
        batch: images or pairs that go through the network at once; None: 1 on a CPU, where a
            larger one is no faster, and 16 elsewhere.
    """

    def __init__(
        self,
        model: Sam2VideoModel,
        behaviour: Behaviour = Behaviour.META,
        batch: int | None = None,
    ) -> None:
        self._model = model.eval()
        self._meta = behaviour is Behaviour.META
        self.device = next(model.parameters()).device
        self.batch = batch or (1 if self.device.type == "cpu" else 16)
        self.image_size: int = model.image_size
        self._grid: tuple[int, int] = tuple(model.backbone_feature_sizes[-1])
        self._prepare_constants()

    @torch.inference_mode()
    def _prepare_constants(self) -> None:
        model = self._model
        self._encoder, self._attention = ImageEncoder(model), MemoryAttention(model)
        self._memory_encoder = MemoryEncoder(model)
        self._mean = torch.tensor(_MEAN, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(_STD, device=self.device).view(3, 1, 1)
        self._image_position = model.get_image_wide_positional_embeddings()
        self._no_points, self._no_mask = model.prompt_encoder(
            input_points=torch.zeros(1, 1, 1, 2, device=self.device),
            input_labels=-torch.ones(1, 1, 1, dtype=torch.int32, device=self.device),
            input_boxes=None,
            input_masks=None,
        )
        shape = torch.Size((1, model.mem_dim, *self._grid))
        position = model.memory_encoder.position_encoding(shape, self.device, torch.float32)
        self._memory_position = position[0].flatten(1).T  # (HW, D)

    @property
    def max_distance(self) -> int:
        """The farthest segmented frame that memory attention has an embedding for."""
        return int(self._model.num_maskmem) - 1

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Features:
        """Encode images (N, 1 or 3, S, S) with values in [0, 1]."""
        parts = [self._encode(chunk.to(self.device)) for chunk in images.split(self.batch)]
        return parts[0] if len(parts) == 1 else Features.stack(parts)

    def _encode(self, images: Tensor) -> Features:
        pixels = (images.expand(-1, 3, -1, -1) - self._mean) / self._std
        return self._encoder(pixels)

    @torch.inference_mode()
    def remember(self, features: Features, masks: Tensor) -> Memory:
        """Remember B images with the masks given for them (B, S, S), 0 or 1.

        An empty mask is remembered as "no object here"; but a frame that only has empty masks
        still makes SAM 2 find something, so leave such prompts out.
        """
        chunks = torch.arange(len(masks)).split(self.batch)
        parts = [self._remember(features.select(pairs), masks[pairs]) for pairs in chunks]
        return parts[0] if len(parts) == 1 else Memory.stack(parts)

    def _remember(self, features: Features, masks: Tensor) -> Memory:
        masks = masks[:, None].to(self.device, torch.float32)
        present = masks.flatten(1).any(1)
        tokens = self._memory_tokens(features, (self._remembered_mask(masks) > 0).float(), present)
        return Memory(tokens, self._prompt_pointer(features, masks, present))

    @torch.inference_mode()
    def remember_prediction(self, features: Features, prediction: Prediction) -> Memory:
        """Remember B images with the masks that were predicted for them."""
        logits = self._resize(prediction.logits[:, None], self.image_size)
        tokens = self._memory_tokens(features, torch.sigmoid(logits), prediction.score > 0)
        return Memory(tokens, prediction.pointer)

    def _remembered_mask(self, masks: Tensor) -> Tensor:
        logits = masks * 20.0 - 10.0
        if not self._meta:
            return logits
        quarter = self._resize(logits, self._model.prompt_encoder.mask_input_size, antialias=True)
        return self._resize(quarter, self.image_size)

    def _memory_tokens(self, features: Features, masks: Tensor, present: Tensor) -> Tensor:
        model, config = self._model, self._model.config
        size = [4 * n for n in model.prompt_encoder.mask_input_size]
        if list(masks.shape[-2:]) != size:
            masks = self._resize(masks, size, antialias=True)
        scaled = masks * config.sigmoid_scale_for_mem_enc + config.sigmoid_bias_for_mem_enc
        memory = self._memory_encoder(features.top, scaled)
        if model.occlusion_spatial_embedding_parameter is not None:
            absent = (~present).float()[:, None, None]
            memory = memory + absent * model.occlusion_spatial_embedding_parameter
        return memory.to(torch.bfloat16)

    def _top_map(self, top: Tensor) -> Tensor:
        return top.transpose(1, 2).reshape(len(top), -1, *self._grid)

    def _prompt_pointer(self, features: Features, masks: Tensor, present: Tensor) -> Tensor:
        model = self._model
        prompt = model.mask_downsample(masks)
        if tuple(prompt.shape[-2:]) != tuple(model.prompt_encoder.mask_input_size):
            prompt = self._resize(prompt, model.prompt_encoder.mask_input_size, antialias=True)
        dense = model.prompt_encoder.mask_embed(prompt)
        _, iou, tokens, score = self._decode(
            self._top_map(features.top), features, dense, multimask=not self._meta
        )
        pointer = self._pointer(tokens[torch.arange(len(iou)), iou.argmax(-1)], score > 0)
        return torch.where(present[:, None], pointer, model.no_object_pointer)

    def _pointer(self, token: Tensor, present: Tensor) -> Tensor:
        pointer = self._model.object_pointer_proj(token)
        return torch.where(present[:, None], pointer, self._model.no_object_pointer)

    def _decode(
        self, embedding: Tensor, features: Features, dense: Tensor, multimask: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (B, M, h, w), IoU (B, M), tokens (B, M, C) and object score (B,)."""
        count = len(embedding)
        logits, iou, tokens, score = self._model.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=self._image_position.expand(count, -1, -1, -1),
            sparse_prompt_embeddings=self._no_points.expand(count, -1, -1, -1),
            dense_prompt_embeddings=dense.expand(count, -1, -1, -1),
            multimask_output=multimask,
            high_resolution_features=[features.fine, features.middle],
        )
        return logits[:, 0], iou[:, 0], tokens[:, 0], score[:, 0, 0]

    @torch.inference_mode()
    def segment(
        self,
        features: Features,
        index: Sequence[int],
        context: Sequence[Remembered],
        frames: int = 2,
    ) -> Prediction:
        """Segment B (image, structure) pairs.

        Args:
            features: of N images.
            index: (B,) the image of each pair.
            context: the frames that each pair is conditioned on, at least one prompted.
            frames: length of the video that the frames belong to; it scales the distances of
                object pointers (2: the paper's pair of support and query).
        """
        images = torch.as_tensor(index)
        unique, place = torch.unique(images, return_inverse=True)
        started = self._attention.start(features.select(unique).top)
        parts = []
        for pairs in torch.arange(len(index)).split(self.batch):
            near = [Remembered(r.memory.select(pairs), r.distance, r.prompted) for r in context]
            chosen = features.select(images[pairs])
            parts.append(self._segment(chosen, started[place[pairs]], near, frames))
        return parts[0] if len(parts) == 1 else Prediction.stack(parts)

    def _segment(
        self, features: Features, started: Tensor, context: Sequence[Remembered], frames: int
    ) -> Prediction:
        values, keys, pointers = self._memory_bank(context, frames)
        conditioned = self._attention(started, keys, values, pointers)
        logits, iou, tokens, score = self._decode(
            self._top_map(conditioned), features, self._no_mask, multimask=True
        )
        pairs, best = torch.arange(len(iou)), iou.argmax(-1)
        visible = score > 0
        return Prediction(
            torch.where(visible[:, None, None], logits[pairs, best], ABSENT).float(),
            iou[pairs, best].float(),
            score.float(),
            self._pointer(tokens[pairs, best], visible),
        )

    def _memory_bank(
        self, context: Sequence[Remembered], frames: int
    ) -> tuple[Tensor, Tensor, int]:
        """Values and keys (B, L, D) of all remembered frames, and how many are pointer tokens."""
        temporal = self._model.memory_temporal_positional_encoding[:, 0, 0]  # (num_maskmem, D)
        values, positions = [], []
        for frame in context:
            # the last embedding marks prompted frames, the others the distance
            place = temporal[-1 if frame.prompted else frame.distance - 1]
            values.append(frame.memory.tokens.float())
            positions.append((self._memory_position + place).expand_as(values[-1]))
        spatial = len(values)
        for frame in context:
            values.append(self._split(frame.memory.pointer))
            positions.append(self._pointer_position(frame, frames).expand_as(values[-1]))
        tokens = torch.cat(values, 1)
        pointers = sum(v.shape[1] for v in values[spatial:])
        return tokens, tokens + torch.cat(positions, 1), pointers

    def _split(self, pointer: Tensor) -> Tensor:
        """An object pointer (B, C) as memory tokens (B, C/D, D)."""
        return pointer.reshape(len(pointer), -1, self._model.mem_dim)

    def _pointer_position(self, frame: Remembered, frames: int) -> Tensor:
        model = self._model
        if not model.config.enable_temporal_pos_encoding_for_object_pointers:
            return torch.zeros(model.mem_dim, device=self.device)
        longest = min(frames, model.config.max_object_pointers_in_encoder) - 1
        sine = _sine_position(frame.distance / max(longest, 1), model.hidden_dim, self.device)
        return model.temporal_positional_encoding_projection_layer(sine)

    def _resize(self, x: Tensor, size: int | Sequence[int], antialias: bool = False) -> Tensor:
        target = (size, size) if isinstance(size, int) else tuple(size)
        return F.interpolate(
            x, size=target, mode="bilinear", align_corners=False, antialias=antialias
        )


def _sine_position(position: float, channels: int, device: torch.device) -> Tensor:
    """The 1D sine encoding (channels,) of SAM 2's object pointers."""
    half = torch.arange(channels // 2, dtype=torch.float32, device=device)
    angle = position / 10000 ** (2 * (half // 2) / (channels // 2))
    return torch.cat([angle.sin(), angle.cos()])
