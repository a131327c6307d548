import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.frames import CT_PRESETS, Frames, Letterbox, Window, modality_of, window_of
from oneslice.geometry import Geometry, SliceView
from oneslice.sam2.state import ABSENT
from oneslice.volume import Volume

letterboxes = st.builds(
    Letterbox,
    rows=st.integers(60, 140),
    columns=st.integers(60, 140),
    row_mm=st.floats(0.8, 1.25),
    column_mm=st.floats(0.8, 1.25),
    size=st.sampled_from([64, 128]),
)


def blob(shape, row, column, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    square = (rows - row) ** 2 + (columns - column) ** 2
    return torch.from_numpy(np.exp(-square / (2 * radius**2))).float()[None]


def centre(image):
    weights = image[0].double().numpy()
    rows, columns = np.indices(weights.shape)
    return np.average(rows, weights=weights), np.average(columns, weights=weights)


def test_a_window_that_shows_nothing_is_refused():
    array = np.random.default_rng(0).random((4, 4, 4))
    scan = Volume(array, Geometry.from_parts(array.shape), name="mine")
    assert window_of(scan, Window(0.5, 2), None) == Window(0.5, 2)
    for window in (Window(1000, 2000), Window(-5, -1)):
        with pytest.raises(InputError, match=r"mine: the window .* shows nothing of values from 0"):
            window_of(scan, window, None)


@settings(max_examples=60, deadline=None)
@given(letterboxes, st.floats(0.35, 0.65), st.floats(0.35, 0.65), st.sampled_from([1, 4]))
def test_what_goes_into_a_frame_comes_back_in_its_place(box, down, across, coarser):
    """Within half a pixel of the slice, also at the quarter size that logits come in."""
    place = down * (box.rows - 1), across * (box.columns - 1)
    image = blob((box.rows, box.columns), *place, radius=6)
    frame = box.fit(image)
    assert frame.shape == (1, box.size, box.size)
    back = box.restore(torch.nn.functional.avg_pool2d(frame, coarser))
    assert back.shape == image.shape
    assert np.abs(np.subtract(centre(image), centre(back))).max() < 0.5


@settings(max_examples=60, deadline=None)
@given(st.integers(12, 60), st.integers(12, 60), st.floats(0.8, 1.25), st.data())
def test_a_small_mask_comes_back_as_large_as_it_went_into_a_larger_frame(rows, columns, mm, data):
    """However much surer what is around it is."""
    box, mask = Letterbox(rows, columns, mm, 1.0, 256), torch.zeros(1, rows, columns)
    row, column = (data.draw(st.integers(1, n - 5)) for n in (rows, columns))
    height, width = (data.draw(st.integers(2, 4)) for _ in range(2))
    mask[:, row : row + height, column : column + width] = 1
    logits = torch.where(box.fit_mask(mask) > 0, 3.0, ABSENT)
    assert torch.equal(box.restore(logits) > 0, mask > 0)


@settings(max_examples=40, deadline=None)
@given(letterboxes)
def test_frames_keep_physical_proportions_and_are_centred(box):
    frame = box.fit(torch.ones(1, box.rows, box.columns))[0] > 0.5
    height, width = int(frame.any(1).sum()), int(frame.any(0).sum())
    expected = box.rows * box.row_mm / (box.columns * box.column_mm)
    assert max(height, width) == box.size
    assert abs(height - min(1, expected) * box.size) <= 0.5 + 1e-6
    assert abs(width - min(1, 1 / expected) * box.size) <= 0.5 + 1e-6
    for shown in (frame.any(1).int(), frame.any(0).int()):
        before, after = int(shown.argmax()), int(shown.flip(0).argmax())
        assert abs(before - after) <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 300), st.integers(20, 300), st.floats(0.5, 2), st.data())
def test_one_labelled_pixel_never_vanishes(rows, columns, row_mm, data):
    box = Letterbox(rows, columns, row_mm, 1.0, 64)
    mask = torch.zeros(2, rows, columns)
    mask[0, data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))] = 1
    fitted = box.fit_mask(mask)
    assert fitted[0].any() and not fitted[1].any()
    assert set(fitted.unique().tolist()) <= {0.0, 1.0}


def test_large_masks_keep_their_area():
    box = Letterbox(100, 100, 1.0, 1.0, 50)
    assert box.side == 100 and Letterbox(100, 90, 1.0, 1.5, 50).side == 135
    mask = torch.zeros(1, 100, 100)
    mask[:, 20:60, 30:70] = 1
    assert int(box.fit_mask(mask).sum()) == 20 * 20


def test_a_square_frame_of_the_same_size_is_untouched():
    image = torch.rand(1, 64, 64)
    box = Letterbox(64, 64, 2.0, 2.0, 64)
    assert torch.equal(box.fit(image), image) and torch.equal(box.restore(image), image)


@pytest.mark.parametrize("name", CT_PRESETS)
def test_presets_are_level_and_width(name):
    window = Window.parse(name)
    level, width = CT_PRESETS[name]
    assert (window.low, window.high) == (level - width / 2, level + width / 2)


def test_presets_by_their_ends():
    assert Window.parse("liver") == Window(-20, 140)
    assert Window.parse("lung") == Window(-1350, 150)


def test_windows_are_applied_linearly_and_clipped():
    window = Window.parse("-100,300")
    scaled = window.apply(np.array([-500, -100, 100, 300, 9000], np.int16))
    assert scaled.dtype == np.float32
    assert np.allclose(scaled, [0, 0, 0.5, 1, 1])


@pytest.mark.parametrize(
    "text", ["", "soft", "1", "1,2,3", "a,b", "5,5", "9,1", "nan,1", "-inf,inf"]
)
def test_bad_windows_are_refused(text):
    with pytest.raises(InputError, match=r"LOW,HIGH"):
        Window.parse(text)


def test_a_window_of_numpy_s_numbers_is_as_wide_as_it_says():
    window = Window(np.int16(-20000), np.int16(20000))
    assert np.allclose(window.apply(np.array([-20000, 0, 20000], np.int16)), [0, 0.5, 1])


def test_a_window_of_words_is_refused():
    with pytest.raises(InputError, match=r"LOW,HIGH"):
        Window("0", "400")


def volume(array, modality=None):
    return Volume(array, Geometry.from_parts(array.shape), modality)


RAMP = np.linspace(0, 1000, 8000).reshape(20, 20, 20)


def test_percentiles_of_the_volume_unless_ct():
    window = Window.of(volume(RAMP))
    assert (window.low, window.high) == (pytest.approx(5), pytest.approx(995))
    assert Window.of(volume(RAMP), Modality.CT) == Window.parse("soft-tissue")
    assert Window.of(volume(RAMP, Modality.CT)) == Window.parse("soft-tissue")


def test_ct_is_guessed_from_air():
    assert Window.of(volume(RAMP - 1000)) == Window.parse("soft-tissue")
    assert Window.of(volume(RAMP - 400)) != Window.parse("soft-tissue")
    assert Window.of(volume(RAMP - 1000, Modality.MR)) != Window.parse("soft-tissue")
    assert Window.of(volume(RAMP - 1000), Modality.MR) != Window.parse("soft-tissue")


def test_a_few_stray_voxels_make_no_ct():
    """Resampling leaves some that are darker than anything that was scanned."""
    stray = RAMP.copy()
    stray[0, 0, :8] = -600
    assert modality_of(volume(stray)) is Modality.OTHER
    stray[0, :2] = -600
    assert modality_of(volume(stray)) is Modality.CT


def test_a_ct_stored_without_negative_numbers_is_shown_as_a_ct():
    """Air, soft tissue and bone in Hounsfield units plus 1024, as many tools write them."""
    rng = np.random.default_rng(1)
    hounsfield = np.full((20, 20, 20), -1000.0)
    hounsfield[5:15] = rng.normal(30, 60, (10, 20, 20))
    hounsfield[9:10] = rng.normal(700, 200, (1, 20, 20))
    stored = (hounsfield + 1024).round().clip(0).astype(np.uint16)
    soft, shifted = Window.parse("soft-tissue"), Window.of(volume(stored))
    assert (shifted.low, shifted.high) == (soft.low + 1024, soft.high + 1024)
    assert Window.of(volume(stored), Modality.CT) == shifted
    assert Window.of(volume(hounsfield)) == soft
    assert Window.of(volume(stored, Modality.MR)) != shifted
    assert Window.of(volume(np.minimum(stored, 255).astype(np.uint8))) != shifted
    bone = Window.parse("bone")
    assert window_of(volume(hounsfield), bone, None) == bone
    assert window_of(volume(stored), bone, None) == Window(bone.low + 1024, bone.high + 1024)
    assert window_of(volume(stored, Modality.MR), bone, None) == bone
    assert window_of(volume(stored), Window(0, 400), None) == Window(0, 400)


def test_a_spot_in_an_empty_volume_is_seen():
    array = np.zeros((20, 20, 20), np.int16)
    array[3, 4, 5] = 7
    window = Window.of(volume(array))
    assert (window.low, window.high) == (0, 7)


def test_images_of_true_and_false():
    array = np.zeros((8, 8, 8), bool)
    array[2:5] = True
    assert Window.of(volume(array)) == Window(0, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64, ">i2"])
def test_frames_read_slices_of_any_type_in_the_view_s_order(dtype):
    array = np.arange(6 * 8 * 10).reshape(6, 8, 10) % 251
    view = SliceView((1, 0, 2), (True, True, False))
    frames = Frames(volume(array.astype(dtype)), view, Window(0, 250), 10)
    assert len(frames) == 8 and frames.slice_shape == (6, 10)
    assert frames[0].shape == (1, 10, 10)
    expected = array[::-1, 7] / 250
    assert np.allclose(frames[0][0, 2:8], expected, atol=1e-6)
    assert not frames[0][:, :2].any() and not frames[0][:, 8:].any()
