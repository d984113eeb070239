"""What the process of the network and its parent say to each other; nothing of it is a pickle.

The parent writes a line of JSON and the voxels behind it. The worker writes lines of JSON with one entry each:

* ``progress``: [fraction in 0..1, text for the user];
* ``log``: [level, logger, text];
* ``rejected``: [code, sentence], the input cannot be scored;
* ``failed``: a traceback, for the log;
* ``result``: how many bytes of an npz archive follow the line.

Arrays of the result that are 0 nearly everywhere go as indices and values: 320 MB become 10.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from coronary_calcium.heart.field import HeartField, Window
from coronary_calcium.inference.prediction import Prediction
from coronary_calcium.pipeline import CaseResult, PredictedLesions
from coronary_calcium.scoring.agatston import CaseScore, Tally
from coronary_calcium.scoring.lesion_warnings import Uncertainty
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import Acquisition, CaseWarning, CTVolume

_SPARSE = ("probability", "artery", "artery_map", "labels")


@dataclass(frozen=True, eq=False)
class Request:
    """What the worker is asked: the CT, without identity and files, and how to run the network.

    ``weights`` is a path, None for the shipped ones; ``log_level`` is the lowest that the parent wants to hear of;
    ``allowed`` are the codes of rejections that the user overrules.
    """

    volume: CTVolume
    device: str = "auto"
    weights: Path | None = None
    log_level: int = 100
    allowed: frozenset[str] = frozenset()

    @property
    def options(self) -> ScoringOptions:
        """The options of the run."""
        return ScoringOptions(allowed=self.allowed)


def write_request(request: Request, stream: BinaryIO) -> None:
    """Write a request; raises BrokenPipeError when the reader has gone."""
    volume = request.volume
    head = {
        "shape": volume.shape,
        "dtype": volume.hu.dtype.str,
        "spacing": volume.spacing,
        "origin": volume.origin,
        "direction": volume.direction.tolist(),
        "acquisition": asdict(volume.acquisition),
        "warnings": [asdict(warning) for warning in volume.warnings],
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
    volume = CTVolume(
        hu,
        tuple(head["spacing"]),
        tuple(head["origin"]),
        np.array(head["direction"]),
        Acquisition(**head["acquisition"]),
        _warnings(head["warnings"]),
    )
    weights = None if head["weights"] is None else Path(head["weights"])
    return Request(volume, head["device"], weights, head["log_level"], frozenset(head["allowed"]))


def write_message(stream: BinaryIO, kind: str, value: Any) -> None:
    """Write one line of JSON."""
    stream.write(json.dumps({kind: value}).encode() + b"\n")
    stream.flush()


def write_result(stream: BinaryIO, result: CaseResult) -> None:
    """Write the result of ``score_case`` on the network's lesions; its CT stays with the parent."""
    predicted, uncertainty, lesions = result.predicted, result.uncertainty, result.score.lesions
    assert predicted is not None and uncertainty is not None  # noqa: S101 the network has marked the lesions
    prediction, field = predicted.prediction, predicted.field
    arrays: dict[str, np.ndarray] = {"region": np.packbits(field.region)}
    artery_map = np.zeros_like(prediction.artery) if prediction.artery_map is None else prediction.artery_map
    dense = (prediction.probability, prediction.artery, artery_map, predicted.labels)
    for name, array in zip(_SPARSE, dense, strict=True):
        flat = array.reshape(-1)
        arrays[f"{name}_at"] = np.flatnonzero(flat)
        arrays[f"{name}_values"] = flat[arrays[f"{name}_at"]]
    arrays |= {name: getattr(uncertainty, name) for name in _UNCERTAIN}
    arrays["lesion_voxels"] = np.concatenate([np.empty(0, np.int64), *(lesion.voxels for lesion in lesions)])
    arrays["lesion_sizes"] = np.array([lesion.voxels.size for lesion in lesions], np.int64)
    facts = {
        "shape": field.region.shape,
        "windows": [asdict(window) for window in field.windows],
        "field": {name: getattr(field, name) for name in _FIELD},
        "field_warnings": [asdict(warning) for warning in field.warnings],
        "run": {name: getattr(prediction, name) for name in _RUN},
        "run_warnings": [asdict(warning) for warning in prediction.warnings],
        "model_card": predicted.model_card,
        "score": {name: getattr(result.score, name) for name in _SCORE},
        "total": asdict(result.score.total),
        "by_artery": {name: asdict(tally) for name, tally in result.score.by_artery.items()},
        "lesions": [{name: getattr(lesion, name) for name in _LESION} for lesion in lesions],
        "uncertainty": {"lesions": uncertainty.lesions, "slices_run": uncertainty.slices_run},
        "warnings": [asdict(warning) for warning in result.warnings],
        "seconds": dict(result.seconds),
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    write_message(stream, "result", packed.tell())
    stream.write(packed.getbuffer())
    stream.flush()


_FIELD = ("size_mm", "found")
_RUN = ("slices_run", "slices_skipped", "windows_run", "device", "seconds")
_SCORE = ("risk_category", "labeled_voxels", "counted_voxels")
_LESION = tuple(entry.name for entry in fields(Lesion) if entry.name != "voxels")
_UNCERTAIN = ("counted", "left_out", "left_out_labels")


def read_result(content: bytes, request: Request) -> CaseResult:
    """What ``write_result`` wrote behind its line, the same to the last digit; raises ValueError when damaged.

    ``request`` is what the worker was asked.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        facts = json.loads(arrays["facts"].tobytes())
        shape = tuple(facts["shape"])
        region = np.unpackbits(arrays["region"], count=int(np.prod(shape))).view(bool).reshape(shape)
        dense = {}
        for name in _SPARSE:
            values = arrays[f"{name}_values"]
            dense[name] = np.zeros(shape, values.dtype)  # its pages take memory only where something is written
            dense[name].reshape(-1)[arrays[f"{name}_at"]] = values
        uncertainty = Uncertainty(**{name: arrays[name] for name in _UNCERTAIN}, **facts["uncertainty"])
        voxels = np.split(arrays["lesion_voxels"], np.cumsum(arrays["lesion_sizes"])[:-1])
    windows = tuple(Window(**window) for window in facts["windows"])
    field = HeartField(windows, region=region, warnings=_warnings(facts["field_warnings"]), **facts["field"])
    prediction = Prediction(
        probability=dense["probability"],
        artery=dense["artery"],
        artery_map=dense["artery_map"],
        covered=field,
        warnings=_warnings(facts["run_warnings"]),
        **facts["run"],
    )
    score = CaseScore(
        total=Tally(**facts["total"]),
        by_artery={name: Tally(**tally) for name, tally in facts["by_artery"].items()},
        lesions=tuple(_lesion(lesion, own) for lesion, own in zip(facts["lesions"], voxels)),
        rules=LITERATURE,
        **facts["score"],
    )
    return CaseResult(
        volume=request.volume,
        labels=dense["labels"],
        score=score,
        rules=LITERATURE,
        warnings=_warnings(facts["warnings"]),
        options=request.options,
        seconds=facts["seconds"],
        predicted=PredictedLesions(prediction, dense["labels"], facts["model_card"]),
        uncertainty=uncertainty,
        device=prediction.device,
    )


def _lesion(stored: dict[str, Any], voxels: np.ndarray) -> Lesion:
    return Lesion(**{**stored, "centroid_lps": tuple(stored["centroid_lps"])}, voxels=voxels)


def _warnings(stored: list[dict[str, str]]) -> tuple[CaseWarning, ...]:
    return tuple(CaseWarning(**warning) for warning in stored)


def progress_to(stream: BinaryIO) -> Callable[[float, str], None]:
    """Progress that is written as lines."""

    def report(fraction: float, text: str) -> None:
        write_message(stream, "progress", [fraction, text])

    return report
