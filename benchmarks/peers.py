"""The reference way: for each slice and structure a fresh two-frame video, all of it encoded.

That is how the by-slice scripts of the field drive SAM 2. Meta's predictor and transformers'
session are run as they ship, with frames already in memory and the matched support given for
nothing. oneslice gets the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from benchmarks.meta_reference import meta_state, meta_video_predictor
from oneslice.sam2.checkpoints import load_model
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Prediction, Remembered


class Peers:
    """hiera-tiny with one set of random weights, run by others.

    Args:
        size: side of the network's input.
        folder: where the weights are left for oneslice.
        device: on which all run.
    """

    WEIGHTS = "hiera-tiny.pt"

    def __init__(self, size: int, folder: Path, device: str = "cpu") -> None:
        self.device = device
        self._predictor = meta_video_predictor(size, device=device)
        self.weights = folder / self.WEIGHTS
        torch.save({"model": self._predictor.state_dict()}, self.weights)
        self._model, _ = load_model(self.weights, image_size=size, device=device)
        self.engine = Engine(self._model)
        random = torch.Generator().manual_seed(0)
        self.images = torch.rand(2, 3, size, size, generator=random).to(device)
        self.mask = torch.zeros(size, size, device=device)
        self.mask[size // 4 : size // 2, size // 4 : size // 2] = 1

    @property
    def probes(self) -> dict[str, Callable[[], object]]:
        """What is timed: a pair by each peer, and one encoder pass, plain and oneslice's."""
        return {
            "meta": self.meta_pair,
            "transformers": self.transformers_pair,
            "plain encoder": self._plain_encoder,
            "encoder": lambda: self.engine.encode(self.images[:1]),
        }

    def segmenting(self, structures: int) -> Callable[[], Prediction]:
        """The work of segmenting some structures on a slice by oneslice, all encoded before."""
        engine = self.engine
        features = engine.encode(self.images)
        masks = self.mask.expand(structures, -1, -1)
        memory = engine.remember(features.select([0] * structures), masks)
        context = [Remembered(memory, 1, prompted=True)]
        return lambda: engine.segment(features, [1] * structures, context)

    @torch.inference_mode()
    def meta_pair(self) -> Tensor:
        """One structure on one slice by Meta's predictor: logits (S, S)."""
        state = meta_state(self._predictor, self.images)
        self._predictor.add_new_mask(state, frame_idx=0, obj_id=1, mask=self.mask.bool())
        *_, (_, _, masks) = self._predictor.propagate_in_video(state)
        return masks[0, 0]

    @torch.inference_mode()
    def transformers_pair(self) -> Tensor:
        """One structure on one slice by transformers' session: logits (S/4, S/4)."""
        side = self.images.shape[-1]
        session = Sam2VideoInferenceSession(
            video=self.images,
            video_height=side,
            video_width=side,
            inference_device=self.device,
            inference_state_device=self.device,
            dtype=torch.float32,
        )
        session.add_mask_inputs(session.obj_id_to_idx(1), 0, self.mask[None, None])
        session.obj_with_new_inputs = [1]
        self._model(inference_session=session, frame_idx=0)
        *_, last = self._model.propagate_in_video_iterator(session, start_frame_idx=0)
        return last.pred_masks[0, 0]

    @torch.inference_mode()
    def _plain_encoder(self) -> None:
        self._model.get_image_features(self.images[:1], return_dict=True)
