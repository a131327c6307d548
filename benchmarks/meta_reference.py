"""Meta's own SAM 2 code as the reference of speed and parity, with weights that all matter."""

from __future__ import annotations

from collections import OrderedDict

import torch

CONFIGS = {
    "tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "base-plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
AMPLIFIED = (
    "memory_attention",
    "mask_decoder.transformer",
    "memory_encoder",
    "output_hypernetworks",
    "output_upscaling",
    "upscale_conv",
)


def meta_video_predictor(
    image_size: int = 512,
    seed: int = 0,
    arch: str = "tiny",
    v20: bool = False,
    filled: bool = True,
    device: str = "cpu",
):
    """Meta's video predictor with random, nowhere zero weights (unless not filled).

    The caller's global random state is left as it was.
    """
    from sam2.build_sam import build_sam2_video_predictor

    config = CONFIGS[arch].replace("sam2.1", "sam2") if v20 else CONFIGS[arch]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        predictor = build_sam2_video_predictor(
            config, device="cpu", hydra_overrides_extra=[f"++model.image_size={image_size}"]
        )
    predictor.fill_hole_area = 0  # needs a CUDA extension; not part of the network
    return (randomize(predictor, seed) if filled else predictor).to(device)


def meta_state(predictor, images: torch.Tensor):
    """Meta's inference state for frames in memory (its own constructor only reads files)."""
    mean = images.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = images.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    keyed = ("point_inputs_per_obj", "mask_inputs_per_obj", "output_dict_per_obj")
    state = {name: {} for name in (*keyed, "temp_output_dict_per_obj", "frames_tracked_per_obj")}
    state |= {"images": (images - mean) / std, "num_frames": len(images), "obj_ids": []}
    state |= {"offload_video_to_cpu": False, "offload_state_to_cpu": False}
    state |= {"video_height": images.shape[-2], "video_width": images.shape[-1]}
    state |= {"device": images.device, "storage_device": images.device}
    state |= {"cached_features": {}, "constants": {}}
    state |= {"obj_id_to_idx": OrderedDict(), "obj_idx_to_id": OrderedDict()}
    return state


def randomize(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Fill the weights so that every one of them matters to the output.

    The default initialisation leaves many parameters at zero and makes the rest so small that the
    logits nearly ignore the memory.  Works on Meta's and on transformers' parameter names.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim <= 1 or float(weight.abs().max()) < 1e-4:
                weight.copy_(_filling(name, weight, generator))
            if "pred_obj_score_head" in name and name.endswith("bias") and weight.numel() == 1:
                weight.fill_(3.0)  # the object is present
            if weight.ndim >= 2 and any(part in name for part in AMPLIFIED):
                weight.mul_(2.0)
            if weight.ndim >= 2 and "memory_attention" in name and "cross_attn_image." in name:
                weight.mul_(4.0)
    return model


def _filling(name: str, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(weight.shape, generator=generator)
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.05 * noise
    return (0.1 if name.endswith(("gamma", ".scale")) else 0.05) * noise
