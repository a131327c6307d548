import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneslice.errors import InputError
from oneslice.geometry import (
    Geometry,
    SliceView,
    aligned_view,
    canonical_view,
    matching_axis,
)
from tests.formats.grids import directions, geometries, ramp

quick = settings(max_examples=100, deadline=None)

views = st.builds(
    SliceView,
    st.permutations([0, 1, 2]).map(tuple),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
shapes = st.tuples(*[st.integers(1, 5)] * 3)


def stored_as(array, geometry, axes, flips):
    """The same voxels in another storage order: new axis n is old axis axes[n], then flipped."""
    affine = geometry.affine[:, [*axes, 3]].copy()
    array = array.transpose(axes)
    for n in range(3):
        if flips[n]:
            affine[:3, 3] += affine[:3, n] * (array.shape[n] - 1)
            affine[:3, n] *= -1
    array = np.flip(array, [n for n in range(3) if flips[n]])
    return array, Geometry(array.shape, affine)


STORAGES = list(
    itertools.product(itertools.permutations(range(3)), itertools.product([0, 1], repeat=3))
)


class TestGeometry:
    @pytest.mark.parametrize(
        ("shape", "affine", "message"),
        [
            ((2, 3), np.eye(4), "three axes"),
            ((2, 3, 0), np.eye(4), "along an axis is a whole number from 1 up, not 0"),
            ((2, 3, 2.5), np.eye(4), "along an axis is a whole number from 1 up, not 2.5"),
            ((2, 3, 4), np.eye(3), "4 x 4"),
            ((2, 3, 4), np.full((4, 4), np.nan), "finite"),
            ((2, 3, 4), np.diag([1, 0, 1, 1]), "singular"),
            ((2, 3, 4), np.array([[9, 9, 0, 0], [9, 9, 0, 0], [0, 0, 9, 0], [0, 0, 0, 1]]), "sing"),
        ],
    )
    def test_refusals(self, shape, affine, message):
        with pytest.raises(InputError, match=message):
            Geometry(shape, affine)

    def test_it_cannot_be_changed(self):
        affine = np.eye(4)
        geometry = Geometry((2, 3, 4), affine)
        affine[0, 0] = 9
        assert geometry.affine[0, 0] == 1
        with pytest.raises(ValueError, match="read-only"):
            geometry.affine[0, 0] = 9

    @quick
    @given(geometries(), st.data())
    def test_there_and_back(self, geometry, data):
        index = np.array([data.draw(st.floats(-9, 9)) for _ in range(3)])
        assert np.allclose(geometry.to_index(geometry.to_world(index)), index, atol=1e-6)
        again = Geometry.from_parts(
            geometry.shape, geometry.spacing, geometry.origin, geometry.direction
        )
        assert np.allclose(again.affine, geometry.affine)
        assert again.difference(geometry) is None

    def test_many_points_at_once(self):
        geometry = Geometry.from_parts((4, 4, 4), (1, 2, 3), (10, 0, 0))
        points = np.ones((5, 6, 3))
        assert np.allclose(geometry.to_world(points), [11, 2, 3])
        assert np.allclose(geometry.to_index(geometry.to_world(points)), 1)

    def test_differences_are_said(self):
        one = Geometry.from_parts((4, 5, 6))
        assert "shapes" in one.difference(Geometry.from_parts((4, 5, 7)))
        assert "0.5 voxels" in one.difference(Geometry.from_parts((4, 5, 6), origin=(0.5, 0, 0)))
        assert one.difference(Geometry.from_parts((4, 5, 6), origin=(1e-4, 0, 0))) is None
        stretched = Geometry.from_parts((4, 5, 6), (1, 1, 1.01))
        assert "voxels apart" in one.difference(stretched)

    @pytest.mark.parametrize(
        ("spacing", "axis"),
        [((1, 1, 1), 2), ((5, 1, 1), 0), ((1, 5, 1), 1), ((1.05, 1, 1), 2), ((3, 3, 1), 2)],
    )
    def test_through_plane_axis(self, spacing, axis):
        assert Geometry.from_parts((4, 4, 4), spacing).through_plane_axis == axis

    def test_obliqueness(self):
        for degrees in (0, 10, 30, 45):
            c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            geometry = Geometry.from_parts((4, 4, 4), direction=turned)
            assert geometry.obliqueness(0) == pytest.approx(degrees, abs=1e-6)
            assert geometry.obliqueness(2) == pytest.approx(0, abs=1e-6)
            assert geometry.is_oblique(0) == (degrees > 20)


class TestSliceView:
    @quick
    @given(views, shapes)
    def test_to_array_is_the_inverse_of_to_slices(self, view, shape):
        array = ramp(shape)
        slices = view.to_slices(array)
        assert slices.shape == tuple(shape[a] for a in view.axes)
        assert np.shares_memory(slices, array)
        assert np.array_equal(view.to_array(slices), array)

    @quick
    @given(views, geometries())
    def test_slices_advance_as_said(self, view, geometry):
        world = geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1))
        slices = np.stack([view.to_slices(world[..., x]) for x in range(3)], axis=-1)
        spacing, direction = view.spacing(geometry), view.directions(geometry)
        for role in range(3):
            steps = np.diff(slices, axis=role)
            assert np.allclose(steps, direction[role] * spacing[role], atol=1e-6)

    @quick
    @given(views, shapes, st.data())
    def test_position_of_a_slice_in_the_file(self, view, shape, data):
        geometry = Geometry(shape, np.eye(4))
        array = ramp(shape)
        position = data.draw(st.integers(0, shape[view.axes[0]] - 1))
        index = view.file_index(geometry, position)
        mine = np.sort(view.to_slices(array)[position], axis=None)
        assert np.array_equal(mine, np.sort(array.take(index, axis=view.axes[0]), axis=None))

    def test_axes_must_be_a_permutation(self):
        with pytest.raises(InputError, match="permutation"):
            SliceView((0, 0, 1))


class TestReadingOrder:
    @pytest.mark.parametrize(("axes", "flips"), STORAGES)
    @pytest.mark.parametrize("world_axis", [0, 1, 2])
    def test_storage_does_not_matter(self, axes, flips, world_axis):
        lps = Geometry.from_parts((3, 4, 5), (1, 1.5, 4))
        array = ramp(lps.shape)
        expected = canonical_view(lps, world_axis).to_slices(array)
        stored, geometry = stored_as(array, lps, axes, flips)
        view = canonical_view(geometry, axes.index(world_axis))
        assert np.array_equal(view.to_slices(stored), expected)

    def test_axial_slices_are_read_as_radiology_shows_them(self):
        lps = Geometry.from_parts((3, 4, 5))
        view = canonical_view(lps, 2)
        assert np.allclose(view.directions(lps), [[0, 0, 1], [0, 1, 0], [1, 0, 0]])
        assert np.array_equal(view.to_slices(ramp((3, 4, 5))), ramp((3, 4, 5)).transpose(2, 1, 0))

    @pytest.mark.parametrize("axis", [0, 1])
    def test_heads_are_up_in_the_other_planes(self, axis):
        lps = Geometry.from_parts((3, 4, 5))
        assert np.allclose(canonical_view(lps, axis).directions(lps)[1], [0, 0, -1])

    @quick
    @given(geometries(), st.integers(0, 2))
    def test_oblique_stacks_are_read_as_stored(self, geometry, axis):
        view = canonical_view(geometry, axis)
        assert view.axes[0] == axis
        if geometry.is_oblique(axis):
            assert view.flips == (False, False, False)
            assert view.axes[1] > view.axes[2]

    @quick
    @given(geometries(), st.integers(0, 2), directions())
    def test_alignment_is_the_best_there_is(self, geometry, axis, reference):
        view = aligned_view(geometry, axis, reference)
        assert view.axes[0] == axis
        agreement = (view.directions(geometry) * reference).sum(axis=1)
        assert agreement[0] >= 0
        others = (
            SliceView((axis, *order), (False, *flips))
            for order in itertools.permutations(a for a in range(3) if a != axis)
            for flips in itertools.product([False, True], repeat=2)
        )
        for other in others:
            found = (other.directions(geometry) * reference).sum(axis=1)
            assert agreement[1:].sum() >= found[1:].sum() - 1e-9

    @quick
    @given(geometries(), st.integers(0, 2), st.sampled_from(STORAGES))
    def test_alignment_undoes_any_storage(self, geometry, axis, storage):
        axes, flips = storage
        array = ramp(geometry.shape)
        view = canonical_view(geometry, axis)
        stored, other = stored_as(array, geometry, axes, flips)
        back = aligned_view(other, axes.index(axis), view.directions(geometry))
        assert np.array_equal(back.to_slices(stored), view.to_slices(array))


class TestMatchingAxis:
    AXIAL = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float)

    @pytest.mark.parametrize(("axes", "flips"), STORAGES)
    def test_the_axis_nearest_to_the_supports(self, axes, flips):
        _, geometry = stored_as(ramp((3, 4, 5)), Geometry.from_parts((3, 4, 5)), axes, flips)
        for through_plane in range(3):
            assert matching_axis(geometry, through_plane, self.AXIAL) == axes.index(2)

    def test_an_oblique_stack_keeps_its_own(self):
        c = s = np.sqrt(0.5)
        turned = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        geometry = Geometry.from_parts((4, 4, 4), (1, 1, 5), direction=turned)
        for through_plane in (1, 2):
            assert matching_axis(geometry, through_plane, self.AXIAL) == through_plane
        assert matching_axis(geometry, 0, self.AXIAL) in (1, 2)

    def test_a_tie_goes_to_the_through_plane_axis(self):
        geometry = Geometry.from_parts((4, 4, 4))
        diagonal = np.array([[1, 1, 0], [0, 0, 1], [1, -1, 0]]) / np.sqrt(2)
        assert matching_axis(geometry, 0, diagonal) == 0
        assert matching_axis(geometry, 1, diagonal) == 1


@pytest.mark.parametrize(
    "parts",
    [
        {"spacing": (1, 1, -1)},
        {"spacing": (1, 0, 1)},
        {"spacing": (1, 1)},
        {"spacing": ("a", "b", "c")},
        {"spacing": (1, 1, float("nan"))},
        {"origin": (0, 0)},
        {"origin": "here"},
        {"direction": np.eye(2)},
        {"direction": [[1, 0, 0], [0, 1, 0], [0, 0]]},
    ],
)
def test_parts_that_make_no_grid_are_refused(parts):
    with pytest.raises(InputError, match=next(iter(parts))):
        Geometry.from_parts((4, 4, 4), **parts)


@quick
@given(geometries(least=4), st.data())
def test_a_grid_is_continued_until_it_holds_another(whole, data):
    def part():
        ends = [
            st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True) for n in whole.shape
        ]
        return tuple(slice(*sorted(data.draw(each))) for each in ends)

    one, other = part(), part()
    found = whole.part(one).around(whole.part(other))
    ends = [(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)]
    assert found.difference(whole.part(tuple(slice(*pair) for pair in ends))) is None
