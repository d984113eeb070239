"""How good the network is on held-out cases, in figures and in pictures."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from coronary_calcium.arteries import BY_LABEL, NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.datasets.case_format import UNJUDGED, TrainingCase
from coronary_calcium.imaging import MEDIASTINUM_WINDOW, gray, rgb, to_rgb
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.preprocessing import INPUT_SIZE, normalize
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.training.samples import whole_window

# The slices are chosen with this seed, the same in every validation of every run.
_SEED = 2020


@dataclass(frozen=True)
class Validation:
    """Counts of window pixels (0.375 mm) of at least 130 HU, over all validated slices, and what follows from them.

    ``artery_accuracy`` is over the calcium pixels that were found and whose artery is known; None without an artery
    head or without any.
    """

    f1: float
    precision: float
    recall: float
    slices: int
    true_positive: int
    false_positive: int
    false_negative: int
    artery_accuracy: float | None

    def as_dict(self) -> dict[str, float | None]:
        """As JSON and CSV know it."""
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """What the network finds in the window of one slice.

    ``center_hu`` is the slice in HU, ``labels`` the truth (artery labels) and ``found`` the artery label of what the
    network calls calcium and could be scored, ``UNASSIGNED``'s without an artery head; all (512, 512).
    """

    case: str
    k: int
    center_hu: np.ndarray
    labels: np.ndarray
    found: np.ndarray


@torch.inference_mode()
def predict_slices(network: DenseRAUNet, case: TrainingCase, k: int, device: torch.device) -> SlicePrediction:
    """Run an evaluating network on the window of one slice."""
    hu, labels = whole_window(case, k)
    inputs = normalize(torch.from_numpy(hu)[None].to(device)).contiguous(memory_format=torch.channels_last)
    calcium, arteries = network(inputs)
    center_hu = hu[len(hu) // 2]
    is_found = (torch.sigmoid(calcium[0, 0]) >= POSTPROCESSING_LIMITS.high_threshold).cpu().numpy()
    is_found &= center_hu >= LITERATURE.threshold_hu
    artery = UNASSIGNED.label if arteries is None else arteries[0].argmax(dim=0).cpu().numpy() + 1
    return SlicePrediction(case.name, k, center_hu, labels, np.where(is_found, artery, 0).astype(np.uint8))


def validate(network: DenseRAUNet, folder: CaseFolder, slices: int, device: torch.device) -> Validation:
    """Run an evaluating network on whole windows of up to ``slices`` slices, spread evenly over the cases.

    Half of them hold calcium, the others only something else that is bright, as far as the cases have such slices.
    """
    tp = fp = fn = right = known = 0
    chosen = _choose(folder, slices)
    for case, k in chosen:
        prediction = predict_slices(network, case, k, device)
        judged = prediction.labels != UNJUDGED
        found, true = (prediction.found > 0) & judged, (prediction.labels > 0) & judged
        tp, fp, fn = tp + int((found & true).sum()), fp + int((found & ~true).sum()), fn + int((true & ~found).sum())
        told = found & true & (prediction.labels != UNASSIGNED.label)
        right, known = right + int((prediction.found == prediction.labels)[told].sum()), known + int(told.sum())
    return Validation(
        f1=2 * tp / max(2 * tp + fp + fn, 1),
        precision=tp / max(tp + fp, 1),
        recall=tp / max(tp + fn, 1),
        slices=len(chosen),
        true_positive=tp,
        false_positive=fp,
        false_negative=fn,
        artery_accuracy=right / known if known and network.artery is not None else None,
    )


def slices_to_show(folder: CaseFolder, count: int) -> list[tuple[TrainingCase, int]]:
    """The slice with the most calcium of up to ``count`` cases; of cases without any, where there are no others, one
    with something else that is bright.
    """
    shown = []
    cases = [folder.case(folder.names[place]) for place in _spread(len(folder.names), 3 * count)]
    for case in sorted(cases, key=lambda case: not case.calcium_slices.size)[:count]:
        bright = case.bright_slices[len(case.bright_slices) // 2] if case.bright_slices.size else len(case.hu) // 2
        most = int((case.labels > 0).sum(axis=(1, 2)).argmax()) if case.calcium_slices.size else int(bright)
        shown.append((case, most))
    return shown


def _choose(folder: CaseFolder, slices: int) -> list[tuple[TrainingCase, int]]:
    generator = np.random.default_rng(_SEED)
    names = [folder.names[place] for place in _spread(len(folder.names), (slices + 1) // 2)]
    share = max(1, slices // max(2 * len(names), 1))
    chosen = []
    for case in map(folder.case, names):
        bright = np.setdiff1d(case.bright_slices, case.calcium_slices)
        for pool in (case.calcium_slices, bright):
            picked = generator.permutation(pool)[:share]
            chosen += [(case, int(k)) for k in np.sort(picked)]
    return chosen[:slices]


def _spread(size: int, count: int) -> np.ndarray:
    """Up to ``count`` different indices, spread evenly over 0 .. ``size`` - 1."""
    return np.unique(np.linspace(0, size - 1, min(count, size)).round().astype(int))


# Each panel shows this many of the window's pixels (96 mm) around the calcium, each as a square of two by two.
_SHOWN_PIXELS, _ENLARGED = 256, 2
_CAPTION_PIXELS, _GAP_PIXELS = 26, 6
_GROUND, _INK = (24, 24, 24), (235, 235, 235)


def picture_sheet(predictions: list[SlicePrediction], title: str) -> np.ndarray:
    """A row for each prediction, with CT, truth and prediction; uint8 RGB (rows, columns, 3).

    Calcium has its artery's color, or that of calcium of no named artery where the network names none.
    """
    side = _SHOWN_PIXELS * _ENLARGED
    width = 3 * side + 2 * _GAP_PIXELS
    sheet = Image.new("RGB", (width, 2 * _CAPTION_PIXELS + len(predictions) * (side + _CAPTION_PIXELS)), _GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    draw.text((6, 5), title, fill=_INK, font=font)
    columns = [panel * (side + _GAP_PIXELS) for panel in range(3)]
    for column, heading in zip(columns, ("CT", "Truth", "Prediction"), strict=True):
        draw.text((column + 6, _CAPTION_PIXELS + 3), heading, fill=_INK, font=font)
    legend = columns[1] + 90
    unnamed = any((prediction.found == UNASSIGNED.label).any() for prediction in predictions)
    for artery in (*NAMED_ARTERIES, *([UNASSIGNED] if unnamed else [])):
        draw.text((legend, _CAPTION_PIXELS + 3), artery.name, fill=rgb(artery.color), font=font)
        legend += 20 + int(draw.textlength(artery.name, font=font))
    for index, prediction in enumerate(predictions):
        top = 2 * _CAPTION_PIXELS + index * (side + _CAPTION_PIXELS)
        for column, panel in zip(columns, _panels(prediction), strict=True):
            sheet.paste(Image.fromarray(panel).resize((side, side), Image.Resampling.NEAREST), (column, top))
        draw.text((6, top + side + 3), _caption(prediction), fill=_INK, font=font)
    return np.asarray(sheet)


def _panels(prediction: SlicePrediction) -> list[np.ndarray]:
    """CT, truth and prediction around the calcium, uint8 RGB of the shown pixels."""
    marked = np.argwhere((prediction.labels > 0) | (prediction.found > 0))
    middle = marked.mean(axis=0) if len(marked) else np.full(2, INPUT_SIZE / 2)
    j, i = np.clip(np.round(middle - _SHOWN_PIXELS / 2), 0, INPUT_SIZE - _SHOWN_PIXELS).astype(int)
    part = np.s_[j : j + _SHOWN_PIXELS, i : i + _SHOWN_PIXELS]
    plain = to_rgb(gray(prediction.center_hu[part], MEDIASTINUM_WINDOW))
    panels = [plain]
    for labels in (prediction.labels[part], prediction.found[part]):
        panel = plain.copy()
        for label in np.unique(labels[labels > 0]):
            panel[labels == label] = rgb(BY_LABEL.get(int(label), UNASSIGNED).color)
        panels.append(panel)
    return panels


def _caption(prediction: SlicePrediction) -> str:
    judged = prediction.labels != UNJUDGED
    true, found = (prediction.labels > 0) & judged, (prediction.found > 0) & judged
    return (
        f"{Path(prediction.case).stem}, slice {prediction.k}: {int(true.sum())} calcium pixels, "
        f"{int((true & found).sum())} found, {int((found & ~true).sum())} false"
    )
