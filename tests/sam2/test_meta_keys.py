"""Meta's weights in transformers' network: the same numbers come out."""

import pytest
import torch
from transformers import Sam2VideoModel

from benchmarks.meta_reference import CONFIGS, meta_video_predictor
from oneslice.errors import ModelError
from oneslice.sam2.checkpoints import load_model
from oneslice.sam2.meta_config import config_of_weights
from oneslice.sam2.meta_keys import rename_weights
from tests.sam2.meta import require_meta

require_meta()


@pytest.fixture(scope="module")
def meta():
    return meta_video_predictor(256, seed=3)


@pytest.fixture(scope="module")
def ported(meta, tmp_path_factory):
    path = tmp_path_factory.mktemp("meta") / "sam2.1_hiera_tiny.pt"
    torch.save({"model": meta.state_dict()}, path)
    return load_model(path, image_size=256)[0]


def image(size):
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


def assert_close(ours, theirs):
    assert theirs.abs().max() > 1e-2
    assert (ours - theirs).abs().max() < 1e-4 * max(1.0, float(theirs.abs().max()))


def image_features(meta, model, size):
    """Three levels each, as (1, channels, height, width)."""
    theirs = meta.forward_image(image(size))["backbone_fpn"]
    sequences = model.get_image_features(image(size)).fpn_hidden_states
    ours = [
        each.permute(1, 2, 0).reshape(t.shape) for each, t in zip(sequences, theirs, strict=True)
    ]
    return ours, theirs


@pytest.mark.parametrize("size", [256, 320])
@torch.inference_mode()
def test_image_features_equal_metas(meta, tmp_path, size):
    path = tmp_path / "tiny.pt"
    torch.save({"model": meta.state_dict()}, path)
    model, _ = load_model(path, image_size=size)
    for ours, theirs in zip(*image_features(meta, model, size), strict=True):
        assert_close(ours, theirs)


@torch.inference_mode()
def test_image_features_of_the_older_version_equal_metas(tmp_path):
    meta = meta_video_predictor(256, seed=4, v20=True)
    torch.save(meta.state_dict(), tmp_path / "older.pt")
    model, _ = load_model(tmp_path / "older.pt", image_size=256)
    assert not model.config.enable_occlusion_spatial_embedding
    assert not model.config.enable_temporal_pos_encoding_for_object_pointers
    for ours, theirs in zip(*image_features(meta, model, 256), strict=True):
        assert_close(ours, theirs)


@torch.inference_mode()
def test_memories_positions_and_pointers_equal_metas(meta, ported):
    features, mask = torch.randn(1, 256, 16, 16), torch.rand(1, 1, 256, 256)
    theirs = meta.memory_encoder(features, mask, skip_mask_sigmoid=True)["vision_features"]
    assert_close(ported.memory_encoder(features, mask)[0], theirs)
    positions = ported.get_image_wide_positional_embeddings()
    assert_close(positions, meta.sam_prompt_encoder.get_dense_pe())
    token = torch.randn(1, 256)
    assert_close(ported.object_pointer_proj(token), meta.obj_ptr_proj(token))


@torch.inference_mode()
def test_masks_decoded_from_a_mask_prompt_equal_metas(meta, ported):
    prompt = torch.randn(1, 1, 64, 64)
    embedding = torch.randn(1, 256, 16, 16)
    fine = [torch.randn(1, 32, 64, 64), torch.randn(1, 64, 32, 32)]
    sparse, dense = meta.sam_prompt_encoder(points=None, boxes=None, masks=prompt)
    theirs, iou, _, score = meta.sam_mask_decoder(
        image_embeddings=embedding,
        image_pe=meta.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
        repeat_image=False,
        high_res_features=fine,
    )
    ours = ported.mask_decoder(
        image_embeddings=embedding,
        image_positional_embeddings=ported.get_image_wide_positional_embeddings(),
        sparse_prompt_embeddings=sparse[:, None],
        dense_prompt_embeddings=ported.prompt_encoder.mask_embed(prompt),
        multimask_output=True,
        high_resolution_features=fine,
    )
    assert_close(ours[0][:, 0], theirs)
    assert_close(ours[1][:, 0], iou)
    assert_close(ours[3][:, 0], score)


@pytest.mark.parametrize("arch", sorted(CONFIGS))
def test_every_published_architecture_is_recognised_and_fits(arch):
    weights = meta_video_predictor(256, arch=arch, filled=False).to("meta").state_dict()
    with torch.device("meta"):
        model = Sam2VideoModel(config_of_weights(weights))
    model.load_state_dict(rename_weights(weights), strict=True, assign=True)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda weights: weights,
        lambda weights: {"model": weights, "optimizer": {"lr": 0.1}, "epoch": 3},
        lambda weights: {"state_dict": {f"module.{key}": v for key, v in weights.items()}},
        lambda weights: {key: value.half() for key, value in weights.items()},
    ],
    ids=["bare", "training checkpoint", "wrapped for several devices", "half precision"],
)
def test_files_as_training_code_saves_them_are_read(meta, ported, tmp_path, wrapped):
    torch.save(wrapped(meta.state_dict()), tmp_path / "tuned.pt")
    model, info = load_model(tmp_path / "tuned.pt", image_size=256)
    assert (info.name, info.image_size) == ("tuned", 1024)
    for ours, reference in zip(model.parameters(), ported.parameters(), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, reference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w.pop("no_mem_embed"), r"1 missing \(no_memory_embedding\)"),
        (lambda w: w.update(extra=torch.zeros(2)), r"1 unknown \(extra\)"),
        (lambda w: w.update(no_mem_embed=torch.zeros(3)), "1 of another shape"),
        (lambda w: w.pop("image_encoder.trunk.blocks.0.attn.qkv.weight"), "11 blocks"),
        (lambda w: w.pop("maskmem_tpos_enc"), "not SAM 2's"),
    ],
)
def test_weights_that_do_not_fit_are_refused(meta, tmp_path, spoil, message):
    weights = meta.state_dict()
    spoil(weights)
    torch.save(weights, tmp_path / "spoilt.pt")
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "spoilt.pt", image_size=256)
