"""Reading and writing scans and label maps; world coordinates are LPS millimetres."""

from oneslice.formats.atomic import atomic_path, refuse_taken, write_text_atomically
from oneslice.formats.detached import files_of
from oneslice.formats.discovery import find_scans
from oneslice.formats.labels import read_label_map, refuse_format, write_label_map
from oneslice.formats.reading import read_volume
from oneslice.formats.regrid import place_on_grid
from oneslice.formats.sidecar import describe_structures, sidecar_path
from oneslice.formats.suffixes import native_format, stem_of
from oneslice.formats.volumes import write_volume

__all__ = [
    "atomic_path",
    "describe_structures",
    "files_of",
    "find_scans",
    "native_format",
    "place_on_grid",
    "read_label_map",
    "read_volume",
    "refuse_format",
    "refuse_taken",
    "sidecar_path",
    "stem_of",
    "write_label_map",
    "write_text_atomically",
    "write_volume",
]
