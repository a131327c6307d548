"""Files that cannot be used give one line that says what to do."""

import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from oneslice.errors import InputError
from oneslice.formats import read_label_map, read_volume
from tests.formats.grids import ramp


def _itk(path, array, vector=False, compress=False):
    image = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=vector)
    sitk.WriteImage(image, str(path), compress)
    return path


def refusal(path, reader=read_volume, **options):
    with pytest.raises(InputError) as error:
        reader(path, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".tif", ".dcm", ""])
@pytest.mark.parametrize("content", [b"", b"hello, this is no image at all" * 20])
@pytest.mark.parametrize("reader", [read_volume, read_label_map])
def test_empty_and_foreign_files(tmp_path, suffix, content, reader):
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(content)
    message = refusal(path, reader)
    assert str(path) in message
    assert ("is empty" in message) == (content == b"")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.999])
def test_truncated_volumes(tmp_path, suffix, compress, kept):
    array = np.random.default_rng(0).integers(0, 999, (20, 30, 40)).astype(np.int16)
    path = _itk(tmp_path / f"a{suffix}", array, compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "cut short or damaged" in refusal(path)


def test_damaged_compression(tmp_path):
    array = np.random.default_rng(0).integers(0, 999, (20, 30, 40)).astype(np.int16)
    path = _itk(tmp_path / "a.nii.gz", array)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_truncated_pictures(tmp_path, suffix):
    array = np.random.default_rng(0).integers(0, 255, (90, 80)).astype(np.uint8)
    path = _itk(tmp_path / f"a{suffix}", array)
    path.write_bytes(path.read_bytes()[:3000])
    assert str(path) in refusal(path)


def test_absent_and_unknown(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.nii.gz")
    (tmp_path / "scan.txt").write_text("hello")
    assert "not a known kind" in refusal(tmp_path / "scan.txt")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_frames_must_be_chosen(tmp_path, suffix):
    image = sitk.JoinSeries([sitk.GetImageFromArray(ramp((4, 3, 2)))] * 5)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    assert "holds 5 frames (4D); save one of them" in refusal(tmp_path / f"a{suffix}")
    assert "no frame 5" in refusal(tmp_path / f"a{suffix}", frame=5)
    assert "no frame -1" in refusal(tmp_path / f"a{suffix}", frame=-1)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.png", ""])
def test_a_3d_scan_has_no_frames_to_choose_from(tmp_path, name):
    array = ramp((4, 3, 2), np.uint8) if name != "a.png" else ramp((4, 3), np.uint8)
    _itk(tmp_path / (name or "a.png"), array if name else array[0])
    expected = read_volume(tmp_path / name).array
    for frame in (0, 1):
        assert np.array_equal(read_volume(tmp_path / name, frame=frame).array, expected)


def test_five_dimensions(tmp_path):
    nibabel.save(nibabel.Nifti1Image(ramp((4, 3, 2, 2, 2)), np.eye(4)), tmp_path / "a.nii.gz")
    assert "5 dimensions" in refusal(tmp_path / "a.nii.gz")


def test_colour_nifti(tmp_path):
    array = np.zeros((4, 3, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    assert "3 values per voxel" in refusal(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".png", ".tif"])
def test_colour(tmp_path, suffix):
    shape = (6, 5, 3) if suffix in (".png", ".tif") else (2, 6, 5, 3)
    path = _itk(tmp_path / f"a{suffix}", ramp(shape, np.uint8), vector=True)
    assert "3 values per voxel" in refusal(path)


def test_palette_pictures_are_labels_only(tmp_path):
    picture = Image.fromarray(ramp((6, 5), np.uint8) % 3).convert("P")
    picture.save(tmp_path / "a.png")
    assert "colour" in refusal(tmp_path / "a.png")
    assert set(np.unique(read_label_map(tmp_path / "a.png").array)) <= set(range(256))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path, value):
    array = ramp((4, 3, 2), np.float32)
    array[1, 1, 1] = value
    for suffix in (".nii.gz", ".nii", ".nrrd", ".mha"):
        assert "NaN" in refusal(_itk(tmp_path / f"a{suffix}", array))
        assert refusal(tmp_path / f"a{suffix}", read_label_map)
    nibabel.save(nibabel.Nifti2Image(array.astype(">f8"), np.eye(4)), tmp_path / "big.nii.gz")
    assert "NaN" in refusal(tmp_path / "big.nii.gz")


def test_constant_complex_and_fractions(tmp_path):
    assert "same value" in refusal(_itk(tmp_path / "a.mha", np.ones((4, 3, 2), np.float32)))
    complex_image = nibabel.Nifti1Image(ramp((4, 3, 2), np.complex64), np.eye(4))
    nibabel.save(complex_image, tmp_path / "c.nii")
    assert "complex" in refusal(tmp_path / "c.nii")
    path = _itk(tmp_path / "f.nrrd", ramp((4, 3, 2), np.float32) / 2)
    assert "whole numbers" in refusal(path, read_label_map)
    path = _itk(tmp_path / "n.nrrd", ramp((4, 3, 2)) - 5)
    assert "from 0 up" in refusal(path, read_label_map)


def _without_last_spacing(path, image, codes):
    """As other programs may write it; nibabel would mend the header."""
    header = image.header
    header["sform_code"], header["qform_code"] = codes
    header["pixdim"][3] = 0
    path.write_bytes(header.binaryblock + bytes(4) + np.asarray(image.dataobj).tobytes("F"))
    return path


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("codes", [(0, 0), (0, 1), (2, 0), (4, 1)])
def test_a_spacing_of_zero(tmp_path, kind, codes):
    image = kind(ramp((4, 3, 2)), np.diag([2, 2, 5, 1]))
    path = _without_last_spacing(tmp_path / "a.nii", image, codes)
    if codes[0]:
        assert read_volume(path).geometry.spacing == (2, 2, 5)
    else:
        assert "spacing of 0 in its header (pixdim [2.0, 2.0, 0.0])" in refusal(path)


def test_a_2d_file_needs_no_third_spacing(tmp_path):
    image = nibabel.Nifti1Image(ramp((4, 3)), np.eye(4))
    path = _without_last_spacing(tmp_path / "a.nii", image, (0, 0))
    assert read_volume(path).geometry.spacing == (1, 1, 1)


def test_shear(tmp_path):
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    nibabel.save(nibabel.Nifti1Image(ramp((4, 3, 2)), sheared), tmp_path / "a.nii.gz")
    assert "right angles" in refusal(tmp_path / "a.nii.gz")
    head = (
        "NRRD0004\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n"
        "space directions: (1,0,0) (0.3,1,0) (0,0,1)\nkinds: domain domain domain\n"
        "endian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(head.encode() + ramp((4, 3, 2)).tobytes())
    assert "right angles" in refusal(tmp_path / "a.nrrd")


def test_singular(tmp_path):
    head = (
        "NRRD0004\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n"
        "space directions: (1,0,0) (1,0,0) (0,0,1)\nkinds: domain domain domain\n"
        "endian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(head.encode() + ramp((4, 3, 2)).tobytes())
    refusal(tmp_path / "a.nrrd")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="drops the rights of root")
def test_without_permission(tmp_path):
    (tmp_path / "locked").mkdir()
    _itk(tmp_path / "locked" / "a.nii", ramp((4, 3, 2)))
    _itk(tmp_path / "b.nii", ramp((4, 3, 2)))
    (tmp_path / "b.nii").chmod(0)
    (tmp_path / "locked").chmod(0)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(0o755)
    script = (
        "import os, sys, SimpleITK\n"
        "from pathlib import Path\n"
        "from oneslice.formats import *\n"
        "from oneslice.errors import InputError\n"
        "import oneslice.formats.itk, pydicom, highdicom, PIL.Image\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "folder = sys.argv[1]\n"
        "def read(p): return read_volume(p)\n"
        "for call in (lambda: read(folder + '/locked'), lambda: read(folder + '/b.nii'),\n"
        "    lambda: find_scans([folder + '/locked']),\n"
        "    lambda: write_text_atomically(Path(folder, 'x', 'y.json'), '', False)):\n"
        "    try: call(); print('no refusal')\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all("Permission denied" in line for line in lines)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_a_name_that_is_no_text_does_not_end_the_process(tmp_path, suffix):
    """ITK would: no exception can be caught there."""
    good = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(ramp((4, 5, 6), np.int16)), str(good))
    bad = good.rename(tmp_path / os.fsdecode(b"bad\xfe" + suffix.encode()))
    with pytest.raises(InputError, match="is not UTF-8; rename it"):
        read_volume(bad)
