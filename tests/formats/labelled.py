"""Labels of three structures, one of which is nowhere."""

import numpy as np

from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure

GRID = Geometry.from_parts((6, 5, 4), (1, 2, 3), (10, 20, 30))
STRUCTURES = (
    Structure(1, "liver", (221, 130, 101)),
    Structure(3, "left kidney é", (0, 255, 7)),
    Structure(9, "absent", (1, 2, 3)),
)


def labelled(geometry=GRID, **options):
    """The first two of its slices show something."""
    array = np.zeros(geometry.shape, np.uint8)
    array[1:3, 2:5, 1] = 1
    array[4, 1, 0:2] = 3
    return LabelMap(array, geometry, STRUCTURES, **options)
