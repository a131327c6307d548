"""Checkpoints by name, folder and file; and every kind that has to be refused."""

import hashlib
import json
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2VideoConfig, Sam2VideoModel

from oneslice import config
from oneslice.errors import InputError, ModelError, OfflineError
from oneslice.sam2 import hub
from oneslice.sam2.checkpoints import load_model
from oneslice.sam2.image_size import set_image_size
from oneslice.sam2.registry import (
    MINI_FOLDER,
    MINI_PARAMETERS,
    NAMES,
    OFFICIAL_MODELS,
    official_model,
)

MODEL_CARD = Path(__file__).parents[2] / "docs" / "mini.md"


@pytest.fixture
def folder(tmp_path):
    """A real checkpoint folder with small random weights, as transformers writes it."""
    torch.manual_seed(0)
    model = Sam2VideoModel(Sam2VideoConfig.from_pretrained(MINI_FOLDER))
    model.save_pretrained(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of downloads, empty settings, and no way to the network."""
    from huggingface_hub import constants

    def refuse(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ONESLICE_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path / "cache"


def put_in_cache(cache, model, folder, commit="c" * 40):
    """Lay a folder's files where the hub's client keeps a download."""
    repository = cache / f"models--{model.repository.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    commit = model.revision if model.is_pinned else commit
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name in hub.FILES:
        (snapshot / name).write_bytes((folder / name).read_bytes())
    return snapshot


def test_mini_is_part_of_the_package():
    model, info = load_model("mini")
    assert (info.name, info.image_size, info.parameters) == ("mini", 256, MINI_PARAMETERS)
    assert info.sha256 == hashlib.sha256((MINI_FOLDER / hub.WEIGHTS).read_bytes()).hexdigest()
    assert info.sha256 in MODEL_CARD.read_text(encoding="utf-8")
    assert not model.training


def test_a_folder_gives_the_weights_that_it_holds(folder):
    model, info = load_model(folder)
    stored = load_file(folder / hub.WEIGHTS)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in stored.items())
    assert (info.name, info.path) == ("own", folder)
    assert load_model(str(folder / hub.WEIGHTS))[1].path == folder


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_stored_in_half_precision_are_loaded_as_floats(folder, dtype):
    stored = {key: value.to(dtype) for key, value in load_file(folder / hub.WEIGHTS).items()}
    save_file(stored, folder / hub.WEIGHTS)
    model, _ = load_model(folder)
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    assert torch.equal(model.no_memory_embedding, stored["no_memory_embedding"].float())


def test_a_tensor_that_has_two_names_may_be_stored_once(folder):
    stored = load_file(folder / hub.WEIGHTS)
    del stored["prompt_encoder.shared_embedding.positional_embedding"]
    save_file(stored, folder / hub.WEIGHTS)
    model, _ = load_model(folder)
    positions = model.shared_image_embedding.positional_embedding
    assert torch.equal(model.prompt_encoder.shared_embedding.positional_embedding, positions)


def test_loading_leaves_the_random_state_alone(folder):
    before = torch.get_rng_state()
    load_model(folder)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [96, 128])
@torch.inference_mode()
def test_the_image_size_changes_the_features_and_no_weight(size):
    model, info = load_model("mini", image_size=size)
    assert info.image_size == 256
    native, _ = load_model("mini")
    for ours, theirs in zip(model.parameters(), native.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert (model.image_size, model.prompt_encoder.input_image_size) == (size, size)
    features = model.get_image_features(torch.randn(1, 3, size, size)).fpn_hidden_states
    sides = [side for side, _ in model.backbone_feature_sizes]
    assert sides == [size // 4, size // 8, size // 16]
    assert [len(each) for each in features] == [side**2 for side in sides]


def test_feature_sizes_follow_the_strides_of_the_checkpoint():
    settings = Sam2VideoConfig.from_pretrained(MINI_FOLDER)
    settings.vision_config.backbone_config.patch_stride = [2, 2]
    settings.vision_config.backbone_feature_sizes = [[128, 128], [64, 64], [32, 32]]
    set_image_size(settings, 128)
    assert settings.vision_config.backbone_feature_sizes == [[64, 64], [32, 32], [16, 16]]
    assert settings.memory_attention_rope_feat_sizes == [16, 16]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (100, "multiple of 32: use 96"),
        (500, "multiple of 32: use 512"),
        (0, "from 32 to 4096, not 0"),
        (8192, "from 32 to 4096, not 8192"),
        (256.0, "from 32 to 4096, not 256.0"),
    ],
)
def test_an_image_size_that_cannot_be_is_refused(size, message):
    with pytest.raises(InputError, match=message):
        load_model("mini", image_size=size)


def test_an_image_size_may_be_numpys():
    model, _ = load_model("mini", image_size=np.int64(128))
    assert model.image_size == 128


def without_config(folder):
    (folder / "config.json").unlink()


def without_weights(folder):
    (folder / hub.WEIGHTS).unlink()


def with_broken_config(folder):
    (folder / "config.json").write_text('{"model_type": ')


def with_other_model(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "resnet"}))


def with_image_only_model(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "sam2"}))


def with_nonsense_config(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "image_size": "large"}))


def with_impossible_architecture(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["mask_decoder_config"]["num_attention_heads"] = 0
    (folder / "config.json").write_text(json.dumps(settings))


def with_truncated_weights(folder):
    content = (folder / hub.WEIGHTS).read_bytes()
    (folder / hub.WEIGHTS).write_bytes(content[: len(content) // 2])


def with_empty_weights(folder):
    (folder / hub.WEIGHTS).write_bytes(b"")


def with_a_weight_less(folder):
    stored = load_file(folder / hub.WEIGHTS)
    del stored["no_memory_embedding"]
    save_file(stored, folder / hub.WEIGHTS)


def with_a_weight_of_another_shape(folder):
    stored = load_file(folder / hub.WEIGHTS)
    save_file({**stored, "no_memory_embedding": torch.zeros(3)}, folder / hub.WEIGHTS)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_config, "has no config.json: pass a folder"),
        (without_weights, "has no model.safetensors: copy it"),
        (with_broken_config, "is damaged: fetch or copy it again"),
        (with_other_model, "type 'resnet', not SAM 2"),
        (with_image_only_model, "type 'sam2', not SAM 2 for videos"),
        (with_nonsense_config, "does not describe a SAM 2 model"),
        (with_impossible_architecture, "describes a network that cannot be built"),
        (with_truncated_weights, "truncated, corrupt or no checkpoint"),
        (with_empty_weights, "truncated, corrupt or no checkpoint"),
        (with_a_weight_less, r"1 missing \(no_memory_embedding\)"),
        (with_a_weight_of_another_shape, "1 of another shape"),
    ],
)
def test_folders_that_cannot_work_are_refused_in_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


class Malicious:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def truncated(path):
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), "truncated, corrupt"),
        (lambda path: path.write_bytes(b"no checkpoint at all" * 99), "truncated, corrupt"),
        (truncated, "truncated, corrupt"),
        (lambda path: torch.save(torch.nn.Linear(2, 2), path), "pickled Python objects"),
        (lambda path: torch.save(np.zeros(3), path), "pickled Python objects"),
        (lambda path: torch.save([torch.zeros(2)], path), "not a plain state dict"),
        (lambda path: torch.save({}, path), "not a plain state dict"),
        (lambda path: torch.save({"model": {"rate": 0.1}}, path), "not a plain state dict"),
        (lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), path), "are not SAM 2's"),
    ],
)
def test_files_that_are_no_checkpoint_are_refused_in_one_line(tmp_path, write, message):
    write(tmp_path / "bad.pt")
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path / "bad.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "save", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))]
)
def test_code_in_a_pickle_is_never_run(tmp_path, save):
    save({"model": Malicious(tmp_path / "harm")}, tmp_path / "bad.pt")
    with pytest.raises(ModelError):
        load_model(tmp_path / "bad.pt")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sam2.1-tny", "did you mean sam2.1-tiny"),
        ("deeplab", "names are mini, sam2.1-tiny"),
        ("missing.pt", "no checkpoint at missing.pt: check the path"),
        ("no/such/folder", "no checkpoint at no/such/folder"),
    ],
)
def test_unknown_models_are_refused_with_a_hint(name, message):
    with pytest.raises(ModelError, match=message):
        load_model(name)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_model_that_is_not_downloaded_is_never_fetched_silently(cache, name):
    with pytest.raises(ModelError, match=f"run `oneslice models download {name}`"):
        load_model(name)
    with pytest.raises(OfflineError, match=r"where there is a network, or copy config\.json"):
        load_model(name, offline=True)


@pytest.mark.parametrize(
    "alias", ["sam2.1-hiera-base-plus", "facebook/sam2.1-hiera-base-plus", "SAM2.1_hiera_base+"]
)
def test_aliases_of_the_official_names(alias):
    assert official_model(alias) is official_model("sam2.1-base-plus")


def test_official_models_are_what_they_are_called():
    assert len(OFFICIAL_MODELS) == 8
    assert official_model("sam2.1-tiny").repository == "facebook/sam2.1-hiera-tiny"
    assert official_model("sam2-base-plus").repository == "facebook/sam2-hiera-base-plus"
    revisions = [model.revision for model in OFFICIAL_MODELS if model.is_pinned]
    assert all(len(revision) == 40 for revision in revisions)
    assert len(set(revisions)) == len(revisions) == 7


def test_a_downloaded_model_is_loaded_from_the_cache(cache, folder):
    model = official_model("sam2-base-plus")
    snapshot = put_in_cache(cache, model, folder)
    _, info = load_model("sam2-hiera-base-plus", offline=True)
    assert (info.name, info.path) == ("sam2-base-plus", snapshot)
    assert info.source == "facebook/sam2-hiera-base-plus at revision main"


def test_weights_that_differ_from_the_first_download_are_refused(cache, folder):
    model = official_model("sam2-base-plus")
    put_in_cache(cache, model, folder)
    hub.download(model)
    assert config.recorded_hash(model.name) == load_model(model.name)[1].sha256
    config.record_hash(model.name, "0" * 64)
    with pytest.raises(
        ModelError, match=r"were changed .* `oneslice models download sam2-base-plus`"
    ):
        load_model(model.name)


def test_weights_that_differ_from_the_published_hash_are_refused_and_removed(cache, folder):
    model = official_model("sam2.1-tiny")
    put_in_cache(cache, model, folder)
    with pytest.raises(ModelError, match="damaged"):
        load_model(model.name)
    with pytest.raises(ModelError, match="damaged"):
        hub.download(model)
    assert hub.cached_folder(model) is None


def test_settings_are_kept_and_mended_by_hand(cache):
    assert config.default_model() is None
    config.set_default_model("sam2.1-tiny")
    config.record_hash("sam2-large", "ab")
    assert (config.default_model(), config.recorded_hash("sam2-large")) == ("sam2.1-tiny", "ab")
    config.set_default_model(None)
    assert config.default_model() is None
    assert [path.name for path in config.config_folder().iterdir()] == ["config.json"]
    for damage in ("{", "[]", '{"hashes": 3}'):
        config.config_file().write_text(damage)
        with pytest.raises(InputError, match="delete the file"):
            config.default_model()


def test_settings_that_cannot_be_written_say_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ONESLICE_CONFIG_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match="set ONESLICE_CONFIG_DIR"):
        config.set_default_model("mini")
