"""``oneslice models``, against real files, a real local server and a real lack of network."""

import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from oneslice import config
from oneslice.cli.models import named_or_default
from oneslice.sam2.registry import MINI_FOLDER, NAMES
from tests.cli.command import oneslice

COMMIT = "c" * 40
FILES = ("config.json", "model.safetensors")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ONESLICE_CONFIG_DIR", str(tmp_path / "settings"))


def test_list_shows_every_model_and_marks_the_default():
    listed = json.loads(oneslice("models", "list", "--json").out)
    assert [entry["name"] for entry in listed] == list(NAMES)
    assert [entry["name"] for entry in listed if entry["downloaded"]] == ["mini"]
    assert [entry["name"] for entry in listed if entry["default"]] == ["mini"]
    table = oneslice("models", "list").out
    assert all(name in table for name in NAMES)
    assert "oneslice models download NAME" in table


def test_use_chooses_a_folder_and_list_shows_it(tmp_path):
    (tmp_path / "own").symlink_to(MINI_FOLDER)
    assert oneslice("models", "use", tmp_path / "own").code == 0
    assert config.default_model() == str(MINI_FOLDER)
    last = json.loads(oneslice("models", "list", "--json").out)[-1]
    assert last["name"] == str(MINI_FOLDER)
    assert last["default"] and last["downloaded"]
    assert oneslice("models", "use", "mini").code == 0
    assert config.default_model() == "mini"


def test_a_run_says_which_default_it_uses(tmp_path, capsys):
    assert named_or_default("mini") == "mini" and not capsys.readouterr().err
    assert named_or_default(None) == "mini" and "models download" in capsys.readouterr().err
    config.set_default_model(str(MINI_FOLDER))
    assert named_or_default(None) == str(MINI_FOLDER)
    assert capsys.readouterr().err == f"Using {MINI_FOLDER}, the default that you chose.\n"


def test_brackets_in_a_path_are_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    shutil.copytree(MINI_FOLDER, tmp_path / "[bold]" / "[" / "x]")
    assert oneslice("models", "use", tmp_path / "[bold]" / "[" / "x]").code == 0
    assert "/[bold]/[/x] " in oneslice("models", "list").out


@pytest.mark.parametrize("model", ["sam2.1-tiny", "nonsense", ".", ""])
def test_use_refuses_what_cannot_be_loaded(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = oneslice("models", "use", model)
    assert outcome.code == 2
    assert outcome.err.startswith("oneslice: ")
    assert outcome.err.count("\n") == 1
    assert config.default_model() is None


def test_info_of_a_model_that_is_here():
    facts = json.loads(oneslice("models", "info", "mini", "--json").out)
    expected = hashlib.sha256((MINI_FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert facts["sha256"] == expected
    assert facts["parameters"] == 4_888_752
    assert facts["native image size"] == 256
    assert facts["licence"] == "Apache-2.0"
    assert "4,888,752" in oneslice("models", "info", "mini").out


def test_info_of_a_model_that_is_not_here():
    pinned = json.loads(oneslice("models", "info", "sam2.1-large", "--json").out)
    assert not pinned["downloaded"]
    assert pinned["pinned"]
    assert len(pinned["sha256 expected"]) == 64
    moving = json.loads(oneslice("models", "info", "sam2-base-plus", "--json").out)
    assert (moving["revision"], moving["pinned"]) == ("main", False)
    assert moving["sha256 expected"] == "that of the first download"


def test_info_of_a_folder_of_unknown_licence(tmp_path):
    (tmp_path / "own").mkdir()
    for name in FILES:
        (tmp_path / "own" / name).symlink_to(MINI_FOLDER / name)
    facts = json.loads(oneslice("models", "info", tmp_path / "own", "--json").out)
    assert facts["licence"].startswith("unknown")


def test_download_offline_says_how_to_bring_the_files_by_hand():
    outcome = oneslice("models", "download", "sam2.1-tiny", "--offline")
    assert outcome.code == 2
    assert "offline mode forbids it" in outcome.err
    assert "copy config.json and model.safetensors of facebook/sam2.1-hiera-tiny" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "message"), [("mini", "needs no download"), ("sam3", "unknown model 'sam3'")]
)
def test_download_of_what_is_no_official_model(name, message):
    outcome = oneslice("models", "download", name)
    assert (outcome.code, message in outcome.err) == (2, True)


def in_a_process(tmp_path, *arguments, **variables):
    """Run the command line in a process of its own: the hub's client reads its settings once."""
    environment = {
        **{key: value for key, value in os.environ.items() if "proxy" not in key.lower()},
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "ONESLICE_CONFIG_DIR": str(tmp_path / "settings"),
        **variables,
    }
    command = [sys.executable, "-c", "from oneslice.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_download_without_a_network_fails_soon_and_in_one_line(tmp_path):
    before = time.monotonic()
    outcome = in_a_process(
        tmp_path, "models", "download", "sam2.1-tiny", HF_ENDPOINT="http://127.0.0.1:9"
    )
    assert time.monotonic() - before < 15
    assert outcome.returncode == 2
    assert "the hub is not reachable: check the network, or copy" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_the_hubs_own_offline_switch_is_respected(tmp_path):
    outcome = in_a_process(tmp_path, "models", "download", "sam2.1-tiny", HF_HUB_OFFLINE="1")
    assert (outcome.returncode, "offline mode forbids it" in outcome.stderr) == (2, True)


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves one repository's files the way the hub does, as far as a download needs it."""

    repository = "/facebook/sam2-hiera-base-plus/resolve/"

    def __init__(self, files, *arguments):
        self.files = files
        super().__init__(*arguments)

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        name = self.path.rsplit("/", 1)[-1]
        if not self.path.startswith(self.repository) or name not in self.files:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.files[name]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    files = {name: (MINI_FOLDER / name).read_bytes() for name in FILES}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Hub, files)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_download_fetches_checks_and_records(tmp_path, hub):
    name = "sam2-base-plus"
    outcome = in_a_process(tmp_path, "models", "download", name, HF_ENDPOINT=hub)
    assert outcome.returncode == 0, outcome.stderr
    assert f"oneslice models use {name}" in outcome.stdout
    settings = json.loads((tmp_path / "settings" / "config.json").read_text())
    weights = (MINI_FOLDER / "model.safetensors").read_bytes()
    assert settings["hashes"] == {name: hashlib.sha256(weights).hexdigest()}
    listed = in_a_process(tmp_path, "models", "list", "--json", HF_HUB_OFFLINE="1")
    assert {e["name"] for e in json.loads(listed.stdout) if e["downloaded"]} == {"mini", name}
    again = in_a_process(tmp_path, "models", "download", name, "--offline")
    assert again.returncode == 0, again.stderr


def test_download_of_a_repository_that_is_gone_is_one_line(tmp_path, hub):
    outcome = in_a_process(tmp_path, "models", "download", "sam2-tiny", HF_ENDPOINT=hub)
    assert outcome.returncode == 2
    assert "the hub refuses facebook/sam2-hiera-tiny" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
