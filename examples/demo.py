"""``make demo``: label one slice, segment the rest; then one patient's slice, a whole study.

1. The MNI152 brain (a real, averaged T1 scan that comes with nilearn): one axial slice of the brain
   is labelled, oneslice segments the other 188.
2. Five generated patients: one slice of the first is labelled, oneslice segments all five.

Writes the segmentations, report.html and brain.png, and prints a Dice table beside the plainest
baseline, copying the labelled slice to every other slice.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import nilearn
import numpy as np
from scipy.ndimage import binary_closing

sys.path.insert(0, str(Path(__file__).parent.parent))
from examples.cohort import one_slice, patient
from examples.report import Panel, Row, draw_panel, page
from oneslice.evaluation.protocol import Overlap
from oneslice.formats import read_label_map, read_volume, write_label_map, write_volume
from oneslice.volume import LabelMap, Structure, Volume

_MNI = Path(nilearn.__file__).parent / "datasets" / "data"
_LABELLED_SLICE = 90
_PATIENTS = 5


def main() -> None:
    """Run both parts and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    brain = run_brain(options.output / "brain", options.model)
    study = run_study(options.output / "study", options.model)
    panels = [brain, *study]
    rows = [row for panel in panels for row in score(panel, brain if panel is brain else study[0])]
    figures = [draw_panel(panel) for panel in panels]
    figures[0].savefig(options.output / "brain.png", dpi=130)
    (options.output / "report.html").write_text(page(figures, rows), encoding="utf-8")
    print_table(rows)
    print(f"Look at {options.output / 'report.html'}")


def run_brain(folder: Path, model: str) -> Panel:
    """Within one scan."""
    scan, truth = brain_and_truth()
    label = np.zeros_like(truth.array)
    label[:, :, _LABELLED_SLICE] = truth.array[:, :, _LABELLED_SLICE]
    one = LabelMap(label, scan.geometry, truth.structures)
    labels = write_label_map(one, folder / "one-slice.seg.nrrd", overwrite=True)
    segment([_mni("t1")], _mni("t1"), labels, folder / "brain.nii.gz", model)
    found = read_label_map(folder / "brain.nii.gz")
    return Panel("MNI152 T1", scan, found, truth, _LABELLED_SLICE)


def brain_and_truth() -> tuple[Volume, LabelMap]:
    """The MNI152 T1, and its brain by the tissue maps that come with it."""
    scan = read_volume(_mni("t1"))
    tissue = np.maximum(read_volume(_mni("gm")).array, read_volume(_mni("wm")).array)
    brain = binary_closing(tissue > 127, iterations=2).astype(np.uint8)
    return scan, LabelMap(brain, scan.geometry, (Structure(1, "brain", (80, 200, 120)),))


def run_study(folder: Path, model: str) -> list[Panel]:
    """Across patients."""
    patients = [patient(seed) for seed in range(1, _PATIENTS + 1)]
    scans = [
        write_volume(scan, folder / "scans" / f"{scan.name}.nii.gz", overwrite=True)
        for scan, _ in patients
    ]
    label = one_slice(patients[0][1])
    labels = write_label_map(label, folder / "one-slice.seg.nrrd", overwrite=True)
    segment(scans, scans[0], labels, folder / "segmented", model)
    position = int(np.flatnonzero(label.array.any((0, 1)))[0])
    return [
        Panel(
            scan.name,
            scan,
            read_label_map(folder / "segmented" / path.name),
            truth,
            position if scan is patients[0][0] else None,
        )
        for (scan, truth), path in zip(patients, scans, strict=True)
    ]


def segment(scans: list[Path], support: Path, labels: Path, out: Path, model: str) -> None:
    """Run the command line, as a user would."""
    command = ["oneslice", "segment", *map(str, scans), "--support", str(support)]
    command += ["--labels", str(labels), "-o", str(out), "--model", model, "--overwrite"]
    print("\n$", " ".join(command), flush=True)
    program = str(Path(sys.executable).with_name("oneslice"))
    subprocess.run([program, *command[1:], "--offline"], check=True)


def score(panel: Panel, support: Panel) -> list[Row]:
    """Dice of each structure, and that of the labelled slice copied to every slice."""
    copied = np.broadcast_to(support.truth.array[:, :, [support.labelled]], panel.truth.array.shape)
    rows = []
    for structure in panel.truth.structures:
        truth = panel.truth.array == structure.value
        dice = (Overlap.of(m == structure.value, truth).dice for m in (panel.found.array, copied))
        rows.append(Row(panel.title, structure.name, *(d or 0.0 for d in dice)))
    return rows


def print_table(rows: list[Row]) -> None:
    """The Dice table, in per cent."""
    from rich.console import Console
    from rich.table import Table

    table = Table("scan", "structure", "Dice", "copied slice", title="Dice x 100")
    for row in rows:
        table.add_row(row.scan, row.structure, f"{100 * row.dice:.1f}", f"{100 * row.copied:.1f}")
    Console().print(table)


def _mni(kind: str) -> Path:
    return _MNI / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"


if __name__ == "__main__":
    main()
