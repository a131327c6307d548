"""Grids of every orientation for property tests."""

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from oneslice.geometry import Geometry

_length = st.floats(-1, 1).map(lambda x: round(x, 3))
_spacing = st.floats(0.2, 8).map(lambda x: round(x, 3))
_origin = st.floats(-400, 400).map(lambda x: round(x, 2))


@st.composite
def directions(draw, right_handed=False):
    """Orthonormal (3, 3): permuted and flipped world axes, turned by any angle or not at all."""
    columns = draw(st.permutations([0, 1, 2]))
    signs = draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 3))
    matrix = np.eye(3)[:, columns] * signs
    turn = draw(st.tuples(_length, _length, _length) | st.just((0.0, 0.0, 0.0)))
    matrix = Rotation.from_rotvec(turn).as_matrix() @ matrix
    if right_handed and np.linalg.det(matrix) < 0:
        matrix[:, 2] *= -1
    return matrix


@st.composite
def geometries(draw, right_handed=False, least=1):
    """Grids of a few voxels."""
    shape = draw(st.tuples(*[st.integers(least, 6)] * 3))
    return Geometry.from_parts(
        shape,
        draw(st.tuples(_spacing, _spacing, _spacing)),
        draw(st.tuples(_origin, _origin, _origin)),
        draw(directions(right_handed)),
    )


def same_grid(one, other, tolerance=1e-4):
    """Whether two grids agree to ``tolerance`` voxels and millimetres."""
    close = np.abs(one.affine - other.affine).max() < tolerance
    return one.shape == other.shape and close and one.difference(other, tolerance) is None


def ramp(shape, dtype=np.int16):
    """Every voxel its own value."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)
