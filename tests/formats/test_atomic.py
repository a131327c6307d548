"""Files are whole or absent."""

import subprocess
import sys

import numpy as np
import pytest

from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.formats import atomic_path, write_label_map, write_text_atomically
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap
from tests.formats.dicom_series import write_series
from tests.formats.grids import ramp


def _everything(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_new_file_in_a_new_folder(tmp_path):
    target = tmp_path / "a" / "b" / "out.nii.gz"
    with atomic_path(target, overwrite=False) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("content")
        assert not target.exists()
    assert target.read_text() == "content"
    assert _everything(target.parent) == ["out.nii.gz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_nothing_new(tmp_path, error):
    (tmp_path / "old.json").write_text("old")
    for name in ("old.json", "new.json"):
        with pytest.raises(error), atomic_path(tmp_path / name, overwrite=True) as temporary:
            temporary.write_text("half")
            raise error
    assert _everything(tmp_path) == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "old"


def test_existing_files_need_overwrite(tmp_path):
    write_text_atomically(tmp_path / "a.json", "first", overwrite=False)
    with pytest.raises(InputError, match="--overwrite"):
        write_text_atomically(tmp_path / "a.json", "second", overwrite=False)
    assert (tmp_path / "a.json").read_text() == "first"
    write_text_atomically(tmp_path / "a.json", "é", overwrite=True)
    assert (tmp_path / "a.json").read_bytes() == "é".encode()


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_text_atomically(tmp_path / "file" / "a.json", "", overwrite=False)


def test_label_maps_are_not_replaced_unasked(tmp_path):
    labels = LabelMap(np.ones((2, 2, 2), np.uint8), Geometry((2, 2, 2), np.eye(4)))
    path = write_label_map(labels, tmp_path / "a.mha")
    with pytest.raises(InputError, match="--overwrite"):
        write_label_map(labels, path)
    assert write_label_map(labels, path, overwrite=True) == path


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from oneslice.errors import InputError
from oneslice.formats import read_volume, write_label_map, write_text_atomically
from oneslice.volume import LabelMap
import SimpleITK, highdicom, nibabel, scipy.ndimage
scan = read_volume(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
array = np.random.default_rng(0).integers(0, 255, scan.geometry.shape).astype(np.uint8)
labels = LabelMap(array, scan.geometry, series=scan.series)
for path in sys.argv[2:]:
    try:
        if path.endswith("json"):
            write_text_atomically(Path(path), "x" * 50_000, overwrite=True)
        else:
            write_label_map(labels, path, overwrite=True)
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_a_full_disk_leaves_the_old_file(tmp_path, tmp_path_factory):
    scan = tmp_path_factory.mktemp("scan")
    write_series(scan, ramp((50, 50, 12)), Geometry((50, 50, 12), np.eye(4)))
    names = [f"a{form.suffix}" for form in Format] + ["a.nii", "a.json"]
    for name in names:
        (tmp_path / name).write_text("old")
    paths = [str(tmp_path / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-c", FULL, scan, *paths], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(names)
    assert all(
        f"{path}: cannot be written" in line for path, line in zip(paths, lines, strict=True)
    )
    assert _everything(tmp_path) == sorted(names)
    assert {(tmp_path / name).read_text() for name in names} == {"old"}
