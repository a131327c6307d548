"""LPIPS, the perceptual distance that the paper matches with, as vectors that can be compared.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018,
equation 1: the sum over layers of the mean over positions of weighted squared differences between
channel-normalised AlexNet features. It is a squared Euclidean distance, so each image is described
once by one vector. The linear weights come with torchmetrics; the AlexNet backbone is downloaded
once.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneslice.errors import OfflineError

_BACKBONE = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
_SIZE = 224  # AlexNet's own input size
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


def alexnet_features() -> nn.Sequential:
    """AlexNet's convolutional part (Krizhevsky 2014), in the layout of torchvision's weights."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


class Lpips(nn.Module):
    """Describes images so that squared Euclidean distance is LPIPS.

    Args:
        backbone: AlexNet's convolutional part.
    """

    def __init__(self, backbone: nn.Sequential) -> None:
        super().__init__()
        self.backbone = backbone.eval()
        self.weights = _linear_weights()

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 1 or 3, S, S) in [0, 1] to vectors (N, D)."""
        size = (_SIZE, _SIZE)
        images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        x = 2 * images.expand(-1, 3, -1, -1) - 1
        x = (x - _column(_SHIFT, x)) / _column(_SCALE, x)
        parts: list[Tensor] = []
        for layer in self.backbone:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                parts.append(self._part(x, self.weights[len(parts)]))
        return torch.cat(parts, 1)

    def _part(self, x: Tensor, weight: Tensor) -> Tensor:
        unit = x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        share = weight.to(x).clamp(min=0).sqrt()[None, :, None, None]
        return (unit * share).flatten(1) / (x.shape[2] * x.shape[3]) ** 0.5


def load_lpips(offline: bool) -> Lpips:
    """LPIPS with the pretrained backbone, downloaded on first use.

    Raises:
        OfflineError: the backbone is not here, or damaged, and cannot be downloaded.
    """
    target = Path(torch.hub.get_dir()) / "checkpoints" / _BACKBONE.rsplit("/", 1)[1]
    advice = f"put {_BACKBONE} at {target}, or choose another --metric (encoder, ncc, ssim)"
    if offline and not target.exists():
        raise OfflineError(f"LPIPS needs the AlexNet backbone, and --offline is set: {advice}")
    try:
        state = torch.hub.load_state_dict_from_url(
            _BACKBONE, map_location="cpu", check_hash=True, weights_only=True
        )
        backbone = alexnet_features()
        features = {k: v for k, v in state.items() if k.startswith("features.")}
        backbone.load_state_dict({k.removeprefix("features."): v for k, v in features.items()})
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise OfflineError(f"LPIPS needs the AlexNet backbone ({error}): {advice}") from error
    return Lpips(backbone)


def _linear_weights() -> list[Tensor]:
    """The learned weight (channels,) of each of the five layers."""
    path = files("torchmetrics") / "functional" / "image" / "lpips_models" / "alex.pth"
    state = torch.load(str(path), map_location="cpu", weights_only=True)
    return [weight.flatten() for _, weight in sorted(state.items())]


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values).to(like)[:, None, None]
