import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from scipy.ndimage import map_coordinates

from oneslice.errors import InputError
from oneslice.evaluation.datasets import Benchmark, open_benchmark, open_folder
from oneslice.formats import read_label_map, write_label_map
from oneslice.geometry import Geometry
from oneslice.volume import Structure
from tests.evaluation.cohort import SPACING, make_scan, write_nifti, write_pairs
from tests.formats.dicom_series import series_datasets

CHAOS_FOLD_1 = [1, 2, 3, 5, 8]
GRAY = {0: 0, 1: 63, 2: 126, 3: 189, 4: 252}  # the gray values of CHAOS


def load(dataset, number):
    return dataset.cases[str(number)].load()


def test_one_folder_for_each_patient(tmp_path):
    scans = write_pairs(tmp_path, [f"patient{n:02}" for n in CHAOS_FOLD_1])
    dataset = open_benchmark(Benchmark.CHAOS_MRI, tmp_path)
    image, labels = scans["patient05"]
    found = load(dataset, 5)
    assert np.array_equal(found.stack.slices, image.T)
    assert np.array_equal(found.labels, labels.T)
    assert found.stack.spacing == pytest.approx((5.0, 1.5, 1.5))
    assert dataset.layout == "preprocessed"


def test_one_folder_for_all_and_another_label_version(tmp_path):
    for number in CHAOS_FOLD_1:
        image, labels = make_scan(number)
        write_nifti(tmp_path / f"image_{number}.nii.gz", image)
        write_nifti(tmp_path / f"label_{number}.nii.gz", labels)
        write_nifti(tmp_path / f"other_{number}.nii.gz", np.minimum(labels, 1))
    assert load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path), 8).labels.max() == 2
    assert load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path, "other"), 8).labels.max() == 1


def test_folds_that_are_complete(tmp_path):
    write_pairs(tmp_path, [f"patient{n:02}" for n in CHAOS_FOLD_1])
    dataset = open_benchmark(Benchmark.CHAOS_MRI, tmp_path)
    (fold,) = dataset.chosen_folds(None)
    assert fold.number == 1
    assert [dataset.identities[n] for n in fold.queries] == ["1", "2", "3", "5"]
    assert dataset.identities[fold.support] == "8"
    assert dataset.identities[dataset.folds[-1].support] == "1"
    with pytest.raises(InputError, match="fold 2 lacks the scans 10, 13, 15, 19"):
        dataset.chosen_folds([2])
    with pytest.raises(InputError, match="folds 1 to 5"):
        dataset.chosen_folds([6])
    shutil.rmtree(tmp_path / "patient08")
    with pytest.raises(InputError, match="fold 1 lacks the scans 8"):
        open_benchmark(Benchmark.CHAOS_MRI, tmp_path).chosen_folds(None)


def test_stored_label_values_of_cmr(tmp_path):
    image, labels = make_scan(0)
    stored = np.array([0, 200, 600], np.uint16)[labels]
    write_nifti(tmp_path / "image_3.nii.gz", image)
    write_nifti(tmp_path / "label_3.nii.gz", stored)
    found = load(open_benchmark(Benchmark.CMR, tmp_path), 3)
    assert np.array_equal(found.labels, np.array([0, 1, 3])[labels].T)


def test_names_what_it_looked_for(tmp_path):
    (tmp_path / "something").mkdir()
    with pytest.raises(InputError, match=r"looked for .*image\.nii\.gz.*T2SPIR/DICOM_anon"):
        open_benchmark(Benchmark.CHAOS_MRI, tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        open_benchmark(Benchmark.CMR, tmp_path / "nowhere")


def test_a_case_without_its_label(tmp_path):
    write_pairs(tmp_path, ["patient01"])
    (tmp_path / "patient01" / "label.nii.gz").unlink()
    with pytest.raises(InputError, match=r"label map label\.nii\.gz is missing"):
        open_benchmark(Benchmark.CHAOS_MRI, tmp_path)


def test_a_number_that_the_data_set_does_not_have(tmp_path):
    write_pairs(tmp_path, ["patient04"])
    with pytest.raises(InputError, match="no patient of that number"):
        open_benchmark(Benchmark.CHAOS_MRI, tmp_path)


def test_a_label_value_outside_the_set(tmp_path):
    image, labels = make_scan(0)
    write_nifti(tmp_path / "image_1.nii.gz", image)
    write_nifti(tmp_path / "label_1.nii.gz", labels * 9)
    with pytest.raises(InputError, match="label values 9, 18"):
        load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path), 1)


def test_a_label_map_of_another_shape(tmp_path):
    image, labels = make_scan(0)
    write_nifti(tmp_path / "image_1.nii.gz", image)
    write_nifti(tmp_path / "label_1.nii.gz", labels[..., :-1])
    with pytest.raises(InputError, match="must lie on one grid"):
        load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path), 1)


def independently_resampled(array, spacing, target):
    """(I, J, K) at multiples of the target spacing from the first voxel, 0 beyond half a voxel."""
    scale = np.array(target) / np.array(spacing)
    size = [int(n / s + 1) for n, s in zip(array.shape, scale, strict=True)]
    grid = np.meshgrid(*(np.arange(n) * s for n, s in zip(size, scale, strict=True)), indexing="ij")
    found = map_coordinates(array.astype(float), grid, order=1, mode="nearest")
    limits = zip(grid, array.shape, strict=True)
    return np.where(np.all([g < n - 0.5 for g, n in limits], 0), found, 0)


def independently_cropped(array, low):
    """The 256 x 256 around the voxel at half the size."""
    out = np.full((256, 256, array.shape[2]), low, float)
    i, j = array.shape[0] // 2 - 128, array.shape[1] // 2 - 128
    for x in range(256):
        for y in range(256):
            if 0 <= x + i < array.shape[0] and 0 <= y + j < array.shape[1]:
                out[x, y] = array[x + i, y + j]
    return out


def test_preprocessing_of_mr_against_an_independent_one(tmp_path):
    random = np.random.default_rng(0)
    spacing, target = (2.0, 9.0, 8.5), (1.25, 1.25, 7.99)  # wider and narrower than 256 pixels
    image = random.integers(0, 1000, (50, 40, 6)).astype(np.float32)
    labels = np.repeat(np.repeat(random.integers(0, 4, (10, 10, 6)), 5, 0), 4, 1)
    write_nifti(tmp_path / "c0" / "patient7_C0.nii.gz", image, spacing)
    stored = np.array([0, 200, 500, 600], np.int16)[labels]
    write_nifti(tmp_path / "gt" / "patient7_C0_manual.nii.gz", stored, spacing)
    found = load(open_benchmark(Benchmark.CMR, tmp_path), 7)

    clipped = np.minimum(image, np.percentile(image, 99.5))
    resampled = independently_resampled(clipped, spacing, target)
    expected = independently_cropped(resampled, resampled.min())
    assert found.stack.slices.shape == expected.T.shape == (7, 256, 256)
    assert np.allclose(found.stack.slices, expected.T, atol=0.01)
    for value in (1, 2, 3):
        share = independently_cropped(independently_resampled(labels == value, spacing, target), 0)
        certain = np.abs(share - 0.5) > 0.01
        assert np.array_equal((found.labels == value).T[certain], (share > 0.5)[certain])


def test_preprocessing_of_ct(tmp_path):
    random = np.random.default_rng(1)
    image = random.integers(-1000, 1000, (96, 96, 4)).astype(np.int16)
    labels = np.zeros(image.shape, np.uint8)
    labels[40:60, 44:56, 1:3] = 6
    root = tmp_path / "RawData" / "Training"
    write_nifti(root / "img" / "img0021.nii.gz", image, (0.7, 0.7, 3.0))
    write_nifti(root / "label" / "label0021.nii.gz", labels, (0.7, 0.7, 3.0))
    dataset = open_benchmark(Benchmark.SYNAPSE_CT, tmp_path)
    assert dataset.identities[10] == "21"
    found = load(dataset, 21)

    windowed = (np.clip(image, -125, 275)[32:-32, 32:-32] + 125) / 400 * 255
    target = (0.7 * 1.75, 0.7 * 1.75, 3.0)
    expected = independently_resampled(windowed, (0.7, 0.7, 3.0), target)
    assert found.stack.slices.shape == (5, 19, 19)
    assert np.allclose(found.stack.slices, expected.T, atol=1e-3)
    share = independently_resampled(labels[32:-32, 32:-32] == 6, (0.7, 0.7, 3.0), target)
    assert np.array_equal(found.labels.T == 6, share > 0.5)


def write_chaos(root, number, array, labels, geometry, first=1):
    """The published tree: DICOM and PNG with the same numbers, rows as in the DICOM."""
    series = root / "Train_Sets" / "MR" / str(number) / "T2SPIR"
    (series / "DICOM_anon").mkdir(parents=True)
    (series / "Ground").mkdir()
    for k, dataset in enumerate(series_datasets(array, geometry, modality="MR")):
        name = f"IMG-0002-{k + first:05}"
        dataset.save_as(series / "DICOM_anon" / f"{name}.dcm", enforce_file_format=True)
        gray = np.vectorize(GRAY.get)(labels[:, :, k]).astype(np.uint8)
        Image.fromarray(gray.T).save(series / "Ground" / f"{name}.png")
    return series


@pytest.mark.parametrize("upwards", [True, False])
def test_chaos_as_published(tmp_path, upwards):
    """Images and labels stay together; slices run to the head, rows to the front."""
    image, labels = make_scan(3)
    labels[labels == 2] = 4
    direction = np.diag([1.0, 1.0, 1.0 if upwards else -1.0])
    geometry = Geometry.from_parts(image.shape, (2.0, 2.0, 7.7), (-30, -40, 50), direction)
    series = write_chaos(tmp_path, 13, image, labels, geometry, first=7)
    for left in ("DICOM_anon/._IMG-0002-00007.dcm", "Ground/._IMG-0002-00007.png", "Ground/a.png"):
        (series / left).write_bytes(b"left by another system")
    found = load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path), 13)
    grid = found.stack.volume.geometry
    assert grid.direction == pytest.approx(np.diag([1.0, -1.0, 1.0]))
    assert grid.spacing == pytest.approx((1.25, 1.25, 7.7))
    assert found.labels.shape[1:] == (256, 256)
    for value, mean in ((1, 250), (4, 180)):
        painted = geometry.to_world(np.argwhere(labels == value)).mean(0)
        read = grid.to_world(np.argwhere(value == found.labels.T)).mean(0)
        assert read == pytest.approx(painted, abs=1.0)
        inside = found.stack.slices[found.labels == value]
        assert np.median(inside) == pytest.approx(mean, abs=15)


def test_chaos_without_labels_and_with_wrong_ones(tmp_path):
    image, labels = make_scan(3)
    geometry = Geometry.from_parts(image.shape, (2.0, 2.0, 7.7))
    series = write_chaos(tmp_path, 13, image, labels, geometry)
    picture = series / "Ground" / "IMG-0002-00001.png"
    Image.fromarray(np.full((32, 32), 99, np.uint8)).save(picture)
    with pytest.raises(InputError, match=r"gray values \[99\]"):
        load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path), 13)
    picture.unlink()
    with pytest.raises(InputError, match="8 label pictures for 9 slices"):
        load(open_benchmark(Benchmark.CHAOS_MRI, tmp_path), 13)
    shutil.rmtree(series / "Ground")
    with pytest.raises(InputError, match="no Ground folder"):
        open_benchmark(Benchmark.CHAOS_MRI, tmp_path)


def test_any_folder_of_pairs(tmp_path):
    scans = write_pairs(tmp_path / "a", ["p2", "p10", "p1"])
    dataset = open_folder(tmp_path / "a")
    assert dataset.identities == ("p1", "p2", "p10")
    assert [(f.queries, f.support) for f in dataset.folds] == [((0,), 1), ((1,), 2), ((2,), 0)]
    assert [s.value for s in dataset.structures] == [1, 2]
    assert (load(dataset, "p2").labels == 1).sum() == (scans["p2"][1] == 1).sum()
    assert len(open_folder(tmp_path / "a", 2).folds) == 2


LAYOUTS = [
    ("{}/image.nii.gz", "{}/label.nii.gz"),
    ("images/{}.nii.gz", "labels/{}.nii.gz"),
    ("{}.nii.gz", "{}_label.nii.gz"),
]


def write_layout(root, image_name, label_name):
    """Two pairs, a and b; returns the arrays of the last."""
    for seed, name in enumerate(["a", "b"]):
        image, labels = make_scan(seed)
        write_nifti(root / image_name.format(name), image)
        write_nifti(root / label_name.format(name), labels)
    return image, labels


@pytest.mark.parametrize(("image_name", "label_name"), LAYOUTS)
def test_folder_layouts(tmp_path, image_name, label_name):
    write_layout(tmp_path, image_name, label_name)
    assert open_folder(tmp_path).identities == ("a", "b")
    (tmp_path / label_name.format("a")).unlink()
    with pytest.raises(InputError, match=r"its label map (label|a)\S* is missing"):
        open_folder(tmp_path)


@pytest.mark.parametrize(("image_name", "label_name"), LAYOUTS)
def test_labels_without_their_image_are_refused(tmp_path, image_name, label_name):
    write_layout(tmp_path, image_name, label_name)
    (tmp_path / image_name.format("a")).unlink()
    with pytest.raises(InputError, match=r": its image (image|a) is missing"):
        open_folder(tmp_path)


def test_a_folder_that_mixes_layouts_is_refused(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    image, labels = make_scan(2)
    write_nifti(tmp_path / "c.nii.gz", image)
    write_nifti(tmp_path / "c_label.nii.gz", labels)
    with pytest.raises(InputError, match=r"layouts \(a/image\.nii\.gz and c\.nii\.gz\)"):
        open_folder(tmp_path)


def test_one_name_for_two_labels_is_refused(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    for name in "ab":
        labels = read_label_map(tmp_path / name / "label.nii.gz")
        structures = (Structure(1, "kidney", (1, 2, 3)), Structure(2, "kidney", (1, 2, 3)))
        (tmp_path / name / "label.nii.gz").unlink()
        write_label_map(replace(labels, structures=structures), tmp_path / name / "label.seg.nrrd")
    with pytest.raises(InputError, match="'kidney' is label 1 and label 2"):
        open_folder(tmp_path)


def test_a_label_map_stored_the_other_way_round(tmp_path):
    """It lies where its file says, in folders and in the preprocessed layout alike."""
    image, labels = make_scan(0)
    write_pairs(tmp_path / "pairs", ["a", "b"])
    write_nifti(tmp_path / "cmr" / "image_3.nii.gz", image)
    for path in (tmp_path / "pairs" / "a" / "label.nii.gz", tmp_path / "cmr" / "label_3.nii.gz"):
        stored = sitk.GetImageFromArray(labels[::-1].T)
        stored.SetSpacing(SPACING)
        stored.SetDirection(np.diag([-1.0, 1.0, 1.0]).ravel().tolist())
        stored.SetOrigin((SPACING[0] * (len(labels) - 1), 0, 0))
        sitk.WriteImage(stored, str(path))
    assert (load(open_folder(tmp_path / "pairs"), "a").labels == 1).sum() == (labels == 1).sum()
    found = load(open_benchmark(Benchmark.CMR, tmp_path / "cmr"), 3)
    assert np.array_equal(found.labels, labels.T)


def test_two_scans_of_one_number_are_refused(tmp_path):
    write_pairs(tmp_path, ["patient01", "patient02", "patient01 (2)"])
    with pytest.raises(InputError, match="both are scan 2"):
        open_benchmark(Benchmark.CMR, tmp_path)


@pytest.mark.parametrize(("image_name", "label_name"), LAYOUTS)
def test_two_files_for_one_image_or_label_are_refused(tmp_path, image_name, label_name):
    image, labels = write_layout(tmp_path, image_name, label_name)
    for pattern, array in ((label_name, labels), (image_name, image)):
        name = pattern.format("b")
        second = write_nifti(tmp_path / name.replace("nii.gz", "mha"), array)
        with pytest.raises(InputError, match=f"{second} and .*nii.gz differ in suffix only"):
            open_folder(tmp_path)
        second.unlink()
    write_nifti(tmp_path / "results" / "b.nii.gz", labels)
    write_nifti(tmp_path / "results" / "b.mha", labels)
    assert open_folder(tmp_path).identities == ("a", "b")


def test_scans_of_a_folder_are_read_in_one_orientation(tmp_path):
    image, labels = make_scan(0)
    for name, flip in (("a", 1), ("b", -1)):
        direction = np.diag([flip, 1.0, 1.0])
        stored = (image, labels) if flip == 1 else (image[::-1], labels[::-1])
        write_nifti(tmp_path / name / "image.nii.gz", stored[0], direction=direction)
        write_nifti(tmp_path / name / "label.nii.gz", stored[1], direction=direction)
    dataset = open_folder(tmp_path)
    assert np.array_equal(load(dataset, "a").labels, load(dataset, "b").labels)


def test_a_folder_without_pairs(tmp_path):
    with pytest.raises(InputError, match=r"0 image and label pairs.*looked for"):
        open_folder(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        open_folder(tmp_path / "nowhere")


def test_a_folder_with_labels_of_another_grid_or_none_at_all(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    write_nifti(tmp_path / "b" / "label.nii.gz", make_scan(1)[1], (1.0, 1.0, 5.0))
    dataset = open_folder(tmp_path)
    with pytest.raises(InputError, match="another grid than its scan"):
        load(dataset, "b")
    for name in "ab":
        write_nifti(tmp_path / name / "label.nii.gz", np.zeros((32, 32, 9), np.uint8))
    with pytest.raises(InputError, match="every label map is empty"):
        open_folder(tmp_path)


def test_cases_that_name_one_label_differently_are_refused(tmp_path):
    write_pairs(tmp_path, ["a", "b", "c"])
    named = {"a": "liver", "b": "Liver", "c": None}
    for case, name in named.items():
        labels = read_label_map(tmp_path / case / "label.nii.gz")
        (tmp_path / case / "label.nii.gz").unlink()
        if name:
            labels = replace(labels, structures=(Structure(1, name, (1, 2, 3)),))
        ending = "seg.nrrd" if name else "nrrd"
        write_label_map(labels, tmp_path / case / f"label.{ending}")
    assert open_folder(tmp_path).structures[0].name == "liver"
    spleen = replace(
        read_label_map(tmp_path / "b" / "label.seg.nrrd"),
        structures=(Structure(1, "spleen", (1, 2, 3)),),
    )
    write_label_map(spleen, tmp_path / "b" / "label.seg.nrrd", overwrite=True)
    with pytest.raises(InputError, match="label 1 is 'spleen', but 'liver' in another case"):
        open_folder(tmp_path)
