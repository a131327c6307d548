"""Drawn scans with structures that every scan has in the same place."""

from tests.evaluation.cohort import make_scan, write_nifti

BOX = slice(24, 30), slice(4, 12)


def write_case(where, seed, boxes):
    """The disc and the square of ``make_scan``, and boxes: first and last slice by label."""
    image, labels = make_scan(seed)
    for label, (first, last) in boxes.items():
        place = (*BOX, slice(first, last + 1))
        image[place], labels[place] = 300 + 30 * label, label
    write_nifti(where / "image.nii.gz", image)
    write_nifti(where / "label.nii.gz", labels)
