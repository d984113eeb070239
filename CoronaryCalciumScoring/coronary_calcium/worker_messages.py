"""What the process of the network and its parent say to each other; nothing of it is a pickle.

The parent writes a line of JSON and the voxels behind it. The worker writes lines of JSON with one entry each:

* ``progress``: [fraction in 0..1, text for the user];
* ``log``: [level, logger, text];
* ``rejected``: [code, sentence], the input cannot be scored;
* ``failed``: a traceback, for the log;
* ``result``: how many bytes of an npz archive follow the line.

Arrays of the result that are 0 nearly everywhere go as indices and values: 400 MB become 14.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from coronary_calcium.heart.field import HeartField, Window
from coronary_calcium.inference.prediction import Prediction
from coronary_calcium.pipeline import PredictedLesions
from coronary_calcium.volume import CaseWarning, CTVolume

_SPARSE = ("probability", "artery", "labels")


@dataclass(frozen=True, eq=False)
class Request:
    """What the worker is asked: the CT without identity, files and acquisition, and how to run the network.

    ``weights`` is a path, None for the shipped ones; ``log_level`` is the lowest that the parent wants to hear of;
    ``allowed`` are the codes of rejections that the user overrules.
    """

    volume: CTVolume
    device: str = "auto"
    weights: Path | None = None
    log_level: int = 100
    allowed: frozenset[str] = frozenset()


def write_request(request: Request, stream: BinaryIO) -> None:
    """Write a request; raises BrokenPipeError when the reader has gone."""
    volume = request.volume
    head = {
        "shape": volume.shape,
        "dtype": volume.hu.dtype.str,
        "spacing": volume.spacing,
        "origin": volume.origin,
        "direction": volume.direction.tolist(),
        "device": request.device,
        "weights": None if request.weights is None else str(request.weights),
        "log_level": request.log_level,
        "allowed": sorted(request.allowed),
    }
    stream.write(json.dumps(head).encode() + b"\n")
    # Of voxels in another order, one slice after the other, so that no second copy is made.
    for part in [volume.hu] if volume.hu.flags.c_contiguous else volume.hu:
        stream.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    stream.flush()


def read_request(stream: BinaryIO) -> Request:
    """Read a request; raises EOFError when the writer has gone before its end."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    hu = np.empty(head["shape"], np.dtype(head["dtype"]))
    waiting = hu.reshape(-1).view(np.uint8).data
    while len(waiting):
        count = stream.readinto(waiting)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        waiting = waiting[count:]
    volume = CTVolume(hu, tuple(head["spacing"]), tuple(head["origin"]), np.array(head["direction"]))
    weights = None if head["weights"] is None else Path(head["weights"])
    return Request(volume, head["device"], weights, head["log_level"], frozenset(head["allowed"]))


def write_message(stream: BinaryIO, kind: str, value: Any) -> None:
    """Write one line of JSON."""
    stream.write(json.dumps({kind: value}).encode() + b"\n")
    stream.flush()


def write_result(stream: BinaryIO, predicted: PredictedLesions, seconds: Mapping[str, float]) -> None:
    """Write what the network found, with the seconds of each stage."""
    prediction, field = predicted.prediction, predicted.field
    arrays: dict[str, np.ndarray] = {"region": np.packbits(field.region)}
    for name, array in zip(_SPARSE, (prediction.probability, prediction.artery, predicted.labels), strict=True):
        flat = array.reshape(-1)
        arrays[f"{name}_at"] = np.flatnonzero(flat)
        arrays[f"{name}_values"] = flat[arrays[f"{name}_at"]]
    facts = {
        "shape": field.region.shape,
        "windows": [asdict(window) for window in field.windows],
        "size_mm": field.size_mm,
        "found": field.found,
        "field_warnings": [asdict(warning) for warning in field.warnings],
        "run": {name: getattr(prediction, name) for name in _RUN},
        "run_warnings": [asdict(warning) for warning in prediction.warnings],
        "model_card": predicted.model_card,
        "seconds": dict(seconds),
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    write_message(stream, "result", packed.tell())
    stream.write(packed.getbuffer())
    stream.flush()


_RUN = ("slices_run", "slices_skipped", "windows_run", "device", "seconds")


def read_result(content: bytes) -> tuple[PredictedLesions, dict[str, float]]:
    """What ``write_result`` wrote behind its line, the same to the last digit; raises ValueError when damaged."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        facts = json.loads(arrays["facts"].tobytes())
        shape = tuple(facts["shape"])
        region = np.unpackbits(arrays["region"], count=int(np.prod(shape))).view(bool).reshape(shape)
        dense = {}
        for name in _SPARSE:
            values = arrays[f"{name}_values"]
            dense[name] = np.zeros(shape, values.dtype)  # its pages take memory only where something is written
            dense[name].reshape(-1)[arrays[f"{name}_at"]] = values
    field = HeartField(
        windows=tuple(Window(**window) for window in facts["windows"]),
        size_mm=facts["size_mm"],
        found=facts["found"],
        region=region,
        warnings=_warnings(facts["field_warnings"]),
    )
    prediction = Prediction(
        probability=dense["probability"],
        artery=dense["artery"],
        covered=field,
        warnings=_warnings(facts["run_warnings"]),
        **facts["run"],
    )
    return PredictedLesions(prediction, dense["labels"], facts["model_card"]), facts["seconds"]


def _warnings(stored: list[dict[str, str]]) -> tuple[CaseWarning, ...]:
    return tuple(CaseWarning(**warning) for warning in stored)


def progress_to(stream: BinaryIO) -> Callable[[float, str], None]:
    """Progress that is written as lines."""

    def report(fraction: float, text: str) -> None:
        write_message(stream, "progress", [fraction, text])

    return report
