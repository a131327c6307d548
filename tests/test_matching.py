import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.functional.image.lpips import (
    NetLinLayer,
    ScalingLayer,
    _normalize_tensor,
    _spatial_average,
)

from oneslice.augment import AugmentationPolicy, draw, warp
from oneslice.choices import Metric
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.errors import OfflineError
from oneslice.lpips import Lpips, _linear_weights
from oneslice.matching import Matcher, make_descriptor, start_slice
from oneslice.pool import SupportPool, labelled_slices
from oneslice.sam2.engine import Engine
from oneslice.settings import Settings
from tests.cohort import patient

METRICS = list(Metric)
ENTRIES = 8
BUDGET = 2**28


def support_slices():
    support = patient(1).support
    return labelled_slices(support, support.structures, support.directions, Settings(), 128, 0)


@pytest.fixture(scope="module")
def pool():
    return SupportPool(support_slices(), ENTRIES, AugmentationPolicy(), seed=0)


def encoded(segmenter, images, batch=1):
    engine = Engine(segmenter._engine._model, batch=batch)
    return EncodedFrames(engine, images, BUDGET, Stopwatch())


def distances(descriptor, queries, pool):
    """(Q, P)."""
    described = torch.stack([descriptor.describe(pool, p) for p in range(len(pool))])
    each = [descriptor.describe(queries, q) for q in range(len(queries))]
    return torch.stack([descriptor.distances(query, described) for query in each])


@pytest.mark.parametrize("metric", METRICS)
def test_the_copy_under_the_true_transform_wins(metric, segmenter, lpips_home):
    """Queries: the support moved as each copy is, but darker and noisy."""
    policy = AugmentationPolicy(brightness=0, contrast=0, saturation=0, hue=0)
    pool = SupportPool(support_slices(), ENTRIES, policy, seed=0)
    parameters = draw(ENTRIES, policy, torch.Generator().manual_seed(0))
    noise = torch.randn(ENTRIES, 1, 128, 128, generator=torch.Generator().manual_seed(1))
    moved = warp(pool[0].expand(ENTRIES, -1, -1, -1), parameters)
    queries = encoded(segmenter, list((0.9 * moved + 0.01 * noise).clamp(0, 1)))
    descriptor = make_descriptor(metric, offline=True)
    found = distances(descriptor, queries, encoded(segmenter, pool)).argmin(1)
    assert found.tolist() == list(range(ENTRIES))


@pytest.mark.parametrize("metric", METRICS)
def test_zero_to_itself_and_positive_to_others(metric, segmenter, pool, lpips_home):
    frames = encoded(segmenter, pool)
    found = distances(make_descriptor(metric, offline=True), frames, frames)
    assert found.diagonal().abs().max() < 1e-6
    assert found[~torch.eye(ENTRIES, dtype=bool)].min() > 1e-4
    assert torch.allclose(found, found.T, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_depend_on_nothing_but_the_two_images(metric, segmenter, pool, lpips_home):
    descriptor = make_descriptor(metric, offline=True)
    queries = encoded(segmenter, [pool[1]])
    whole = distances(descriptor, queries, encoded(segmenter, pool))[0]
    order = [5, 0, 3]
    images = [pool[entry] for entry in order]
    part = distances(descriptor, queries, encoded(segmenter, images))[0]
    assert torch.allclose(part, whole[order], atol=1e-6)
    batched = encoded(segmenter, images, batch=4)
    batched.features([0, 1, 2])
    assert torch.allclose(distances(descriptor, queries, batched)[0], whole[order], atol=1e-5)
    described = torch.stack([descriptor.describe(batched, n % 3) for n in range(60)])
    many = descriptor.distances(descriptor.describe(queries, 0), described)
    assert torch.allclose(many, whole[order * 20], atol=1e-5)


def test_ncc_is_the_correlation_of_small_copies(segmenter, pool):
    frames = encoded(segmenter, pool)
    found = distances(make_descriptor(Metric.NCC), frames, frames)
    small = np.stack([pool[p][0].reshape(64, 2, 64, 2).mean((1, 3)).numpy() for p in range(8)])
    assert np.allclose(found, 1 - np.corrcoef(small.reshape(8, -1)), atol=1e-5)


def test_ssim_is_that_of_torchmetrics(segmenter, pool):
    """On the valid region, which ours averages: torchmetrics pads and averages the margin too.

    The frames are as large as the copies that SSIM is taken on.
    """
    frames = encoded(segmenter, pool)
    found = distances(make_descriptor(Metric.SSIM), frames, frames)
    images = torch.stack([pool[p] for p in range(ENTRIES)])
    for q in range(ENTRIES):
        _, full = structural_similarity_index_measure(
            images[[q] * ENTRIES], images, data_range=1.0, return_full_image=True
        )
        theirs = full[..., 5:-5, 5:-5].mean((1, 2, 3))
        assert torch.allclose(found[q], 1 - theirs, atol=1e-5)


@torch.inference_mode()
def torchmetrics_lpips(backbone, one, other):
    """LPIPS of two images (1, 3, S, S) from torchmetrics' own parts."""
    scaling, weights = ScalingLayer(), _linear_weights()
    x, y = scaling(2 * one - 1), scaling(2 * other - 1)
    total = 0.0
    for layer in backbone:
        x, y = layer(x), layer(y)
        if isinstance(layer, torch.nn.ReLU):
            weight = weights.pop(0)
            linear = NetLinLayer(len(weight))
            linear.model[0].weight.copy_(weight[None, :, None, None])
            difference = (_normalize_tensor(x) - _normalize_tensor(y)) ** 2
            total += float(_spatial_average(linear(difference)))
    assert not weights
    return total


def test_lpips_is_that_of_torchmetrics(backbone):
    images = torch.rand(4, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    images[1:] = 0.7 * images[1:] + 0.3 * images[:1]
    vectors = Lpips(backbone)(images)
    for n in range(1, 4):
        ours = float((vectors[n] - vectors[0]).pow(2).sum())
        theirs = torchmetrics_lpips(backbone, images[:1], images[[n]])
        assert theirs > 1e-3 and ours == pytest.approx(theirs, rel=1e-3)


def test_lpips_treats_gray_as_three_equal_channels(backbone):
    gray = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(2))
    network = Lpips(backbone)
    assert torch.allclose(network(gray), network(gray.expand(-1, 3, -1, -1)), atol=1e-6)


def test_lpips_without_its_backbone_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(OfflineError) as error:
        make_descriptor(Metric.LPIPS, offline=True)
    target = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    for part in ("--offline", "https://download.pytorch.org/models/", str(target), "--metric"):
        assert part in str(error.value)
    target.parent.mkdir(parents=True)
    for damaged in (b"cut short", b""):
        target.write_bytes(damaged)
        with pytest.raises(OfflineError, match="--metric"):
            make_descriptor(Metric.LPIPS, offline=True)
    torch.save({"features.0.weight": torch.zeros(3)}, target)
    with pytest.raises(OfflineError, match="--metric"):
        make_descriptor(Metric.LPIPS, offline=True)


def test_the_nearest_eligible_support_is_at_the_smallest_distance(segmenter, pool):
    frames, descriptor = encoded(segmenter, pool), make_descriptor(Metric.NCC)
    eligible = torch.ones(ENTRIES, 2, dtype=torch.bool)
    eligible[3, 1] = False
    matcher = Matcher(descriptor, frames, eligible)
    distance, chosen = matcher.distances(frames, 3).min(0)
    away = distances(descriptor, frames, frames)[3]
    away[3] = torch.inf
    assert chosen.tolist() == [3, int(away.argmin())]
    assert distance[0] < 1e-6 and distance[1] == pytest.approx(float(away.min()), abs=1e-6)


def test_the_start_is_the_slice_matched_best_on_average():
    distances = [torch.tensor(row) for row in ([0.3, 0.1], [0.1, 0.2], [0.0, 0.9])]
    assert start_slice(distances) == 1
