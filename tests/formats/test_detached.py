"""Headers whose voxels lie in another file."""

import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from oneslice.errors import InputError
from oneslice.formats import files_of, read_volume
from tests.formats.grids import ramp


def write(path, compress=False):
    sitk.WriteImage(sitk.GetImageFromArray(ramp((4, 3, 2))), str(path), compress)
    return path


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_voxels_that_were_left_behind_are_named(tmp_path, suffix, compress):
    header = write(tmp_path / f"a scan{suffix}", compress)
    (voxels,) = set(tmp_path.iterdir()) - {header}
    assert files_of(header) == [header, voxels]
    shutil.copytree(tmp_path, tmp_path / "copy")
    voxels.unlink()
    with pytest.raises(InputError, match=re.escape(f"are in {voxels.name}, which is not beside")):
        read_volume(header)
    whole = read_volume(tmp_path / "copy" / header.name)
    assert np.array_equal(whole.array, ramp((4, 3, 2)).T)


def test_other_files_and_folders_are_whole(tmp_path):
    for name in ("a.mha", "a.nrrd", "a.nii.gz"):
        write(tmp_path / name)
        assert files_of(tmp_path / name) == [tmp_path / name]
    assert files_of(tmp_path) == [tmp_path]


def test_voxels_may_follow_their_header(tmp_path):
    shutil.copy(write(tmp_path / "a.mha"), tmp_path / "a.mhd")
    assert files_of(tmp_path / "a.mhd") == [tmp_path / "a.mhd"]
    assert np.array_equal(read_volume(tmp_path / "a.mhd").array, ramp((4, 3, 2)).T)


@pytest.mark.parametrize("several", ["LIST", "LIST 2D", "slice%03d.raw 1 9 1"])
def test_headers_of_many_files_are_left_to_the_reader(tmp_path, several):
    header = write(tmp_path / "a.mhd")
    header.write_text(header.read_text().replace("a.raw", several))
    assert files_of(header) == [header]
