"""The engine against plain transformers and against Meta's own code, with the same weights."""

import pytest
import torch
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from benchmarks.meta_reference import meta_state, meta_video_predictor, randomize
from oneslice.sam2.engine import Behaviour, Engine
from oneslice.sam2.meta_config import meta_config
from oneslice.sam2.state import ABSENT, Features, Remembered
from tests.sam2.meta import ROUNDING, relative_error, require_meta


def official_model(size: int, seed: int = 0) -> Sam2VideoModel:
    """hiera-tiny with random weights that all matter, at input size ``size``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Sam2VideoModel(meta_config("tiny", image_size=size))
    return randomize(model, seed).eval()


def clip(frames: int, size: int) -> torch.Tensor:
    return torch.rand(frames, 3, size, size, generator=torch.Generator().manual_seed(1))


def square_masks(count: int, size: int) -> torch.Tensor:
    masks = torch.zeros(count, size, size)
    for n in range(count):
        masks[n, size // 8 * (n + 1) : size // 2, size // 4 : size // 4 * 3 + n] = 1
    return masks


def run_engine(engine: Engine, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Prompt frame 0, then segment the others in order, with all memories: logits (T-1, h, w)."""
    features = engine.encode(images)
    prompt = engine.remember(features.select([0]), mask[None])
    past, logits = [], []
    for t in range(1, len(images)):
        context = [Remembered(prompt, t, prompted=True)]
        context += [Remembered(m, t - n, prompted=False) for n, m in past]
        prediction = engine.segment(features, [t], context, frames=len(images))
        logits.append(prediction.logits[0])
        past.append((t, engine.remember_prediction(features.select([t]), prediction)))
    return torch.stack(logits)


@torch.inference_mode()
def run_transformers(model, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    session = Sam2VideoInferenceSession(
        video=(images - mean) / std, video_height=128, video_width=128, dtype=torch.float32
    )
    session.add_mask_inputs(session.obj_id_to_idx(1), 0, mask[None, None])
    session.obj_with_new_inputs = [1]
    model(inference_session=session, frame_idx=0)
    frames = model.propagate_in_video_iterator(session, start_frame_idx=0)
    return torch.stack([f.pred_masks[0, 0] for f in frames][1:])


@torch.inference_mode()
def run_meta(predictor, images: torch.Tensor, mask: torch.Tensor, tmp_path) -> torch.Tensor:
    state = meta_state(predictor, images)
    predictor.add_new_mask(state, frame_idx=0, obj_id=1, mask=mask.bool())
    for _ in predictor.propagate_in_video(state):
        pass
    outputs = state["output_dict_per_obj"][0]["non_cond_frame_outputs"]
    return torch.stack([outputs[t]["pred_masks"][0, 0] for t in range(1, len(images))])


@pytest.mark.parametrize("size", [128, 256])
def test_equals_transformers_session(size):
    model = official_model(size)
    images, mask = clip(4, size), square_masks(1, size)[0]
    ours = run_engine(Engine(model, Behaviour.TRANSFORMERS), images, mask)
    theirs = run_transformers(model, images, mask)
    assert theirs.std() > 1e-2
    assert relative_error(ours, theirs) < ROUNDING


@pytest.mark.parametrize(("size", "frames"), [(256, 2), (256, 4), (512, 2)])
def test_equals_metas_predictor(size, frames, tmp_path):
    require_meta()
    from oneslice.sam2.checkpoints import load_model

    predictor = meta_video_predictor(size)
    torch.save({"model": predictor.state_dict()}, tmp_path / "model.pt")
    model, _ = load_model(str(tmp_path / "model.pt"), image_size=size)
    images, mask = clip(frames, size), square_masks(1, size)[0]
    theirs = run_meta(predictor, images, mask, tmp_path)
    ours = run_engine(Engine(model), images, mask)
    assert theirs.std() > 1e-2
    assert relative_error(ours, theirs) < ROUNDING


def test_behaviours_differ():
    model = official_model(128)
    images, mask = clip(2, 128), square_masks(1, 128)[0]
    meta = run_engine(Engine(model, Behaviour.META), images, mask)
    transformers = run_engine(Engine(model, Behaviour.TRANSFORMERS), images, mask)
    assert relative_error(transformers, meta) > ROUNDING


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_batches_equal_single_pairs(batch):
    model = official_model(128)
    engine, single = Engine(model, batch=batch), Engine(model, batch=1)
    images, masks = clip(4, 128), square_masks(3, 128)
    features = engine.encode(images)
    index, structure = [1, 2, 3, 1, 2, 3], [0, 1, 2, 2, 1, 0]
    memory = engine.remember(features.select([0, 0, 0]), masks).select(structure)
    ours = engine.segment(features, index, [Remembered(memory, 1, prompted=True)])
    for pair, image in enumerate(index):
        alone = single.encode(images[[0, image]])
        prompt = single.remember(alone.select([0]), masks[[structure[pair]]])
        one = single.segment(alone, [1], [Remembered(prompt, 1, prompted=True)])
        assert torch.allclose(ours.logits[pair], one.logits[0], atol=1e-4)
        assert torch.allclose(ours.score[pair], one.score[0], atol=1e-4)
        assert torch.allclose(ours.iou[pair], one.iou[0], atol=1e-4)


def test_absent_object_is_minus_1024_everywhere():
    model = official_model(128)
    with torch.no_grad():
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(-100.0)
    engine = Engine(model)
    features = engine.encode(clip(2, 128))
    memory = engine.remember(features.select([0]), square_masks(1, 128))
    prediction = engine.segment(features, [1], [Remembered(memory, 1, prompted=True)])
    assert (prediction.logits == -1024).all() and prediction.score[0] <= 0


def test_features_stack_and_select():
    engine = Engine(official_model(128))
    features = engine.encode(clip(3, 128))
    again = Features.stack([features.select([n]) for n in range(3)])
    assert torch.equal(again.top, features.top) and torch.equal(again.fine, features.fine)
    assert len(again) == 3 and again.nbytes == features.nbytes


def test_what_the_object_score_calls_absent_has_no_mask():
    model = official_model(128)
    engine, images = Engine(model), clip(2, 128)
    features = engine.encode(images)
    prompt = engine.remember(features.select([0]), square_masks(1, 128))
    context = [Remembered(prompt, 1, prompted=True)]
    last = model.mask_decoder.pred_obj_score_head.proj_out
    for shift, there in ((1e4, True), (-1e4, False)):
        last.bias.data += shift - last.bias.data
        found = engine.segment(features, [1], context)
        assert bool(found.score > 0) is there and bool((found.logits > ABSENT).any()) is there
