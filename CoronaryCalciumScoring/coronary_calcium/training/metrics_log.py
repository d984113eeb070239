"""What a training run writes down while it runs: metrics as CSV and, where TensorBoard is installed, for it as well."""

import csv
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coronary_calcium.atomic_write import whole_file

METRICS, VALIDATIONS, PICTURES, TENSORBOARD = "metrics.csv", "validation.csv", "pictures", "tensorboard"
NO_TENSORBOARD = (
    "TensorBoard is not installed, so metrics are written to metrics.csv and pictures to PNG files only; "
    "pip install 'coronary-calcium-scoring[train]' adds it."
)


class Records:
    """The records of the run in a folder, from iteration ``iteration`` on.

    What an interrupted run wrote after its last checkpoint is removed: the resumed run does it again.
    """

    def __init__(self, output: Path, iteration: int) -> None:
        self._output = output
        for name in (METRICS, VALIDATIONS):
            _forget_rows_after(output / name, iteration)
        self._writer = _tensorboard_writer(output / TENSORBOARD, iteration)

    def metrics(self, row: dict[str, Any]) -> None:
        """Write a row of training metrics; it has the "iteration"."""
        self._write(METRICS, "training", row)

    def validation(self, row: dict[str, Any]) -> None:
        """Write the outcome of a validation; it has the "iteration"."""
        self._write(VALIDATIONS, "validation", row)

    def picture(self, picture: np.ndarray, iteration: int) -> Path:
        """Write an RGB picture, uint8 (rows, columns, 3), as PNG; returns its path."""
        folder = self._output / PICTURES
        folder.mkdir(exist_ok=True)
        path = folder / f"iteration-{iteration:07d}.png"
        Image.fromarray(picture).save(path)
        if self._writer is not None:
            self._writer.add_image("predictions", picture, iteration, dataformats="HWC")
        return path

    def close(self) -> None:
        """Write out what TensorBoard's writer still holds."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, name: str, group: str, row: dict[str, Any]) -> None:
        append_row(self._output / name, row)
        if self._writer is not None:
            for entry, value in row.items():
                if entry != "iteration" and value is not None:
                    self._writer.add_scalar(f"{group}/{entry}", float(value), row["iteration"])
            self._writer.flush()


def has_tensorboard() -> bool:
    """Whether the optional package is installed."""
    return importlib.util.find_spec("tensorboard") is not None


def _tensorboard_writer(folder: Path, iteration: int) -> Any:
    """TensorBoard's writer, or None where the optional package is not installed."""
    if not has_tensorboard():
        return None
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (optional)

    return SummaryWriter(str(folder), purge_step=iteration + 1)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a CSV file, with a header line when the file is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _forget_rows_after(path: Path, iteration: int) -> None:
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        # The last row of a run that was killed may be cut short.
        whole = [row for row in reader if None not in row.values() and row["iteration"].isdigit()]
        names = list(reader.fieldnames or ())
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row for row in whole if int(row["iteration"]) <= iteration)
