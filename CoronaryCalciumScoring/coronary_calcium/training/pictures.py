"""What the network makes of a few slices, as a picture: CT, truth and prediction side by side."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from coronary_calcium.arteries import BY_LABEL, NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.drawing import MEDIASTINUM_WINDOW, grey, rgb, to_rgb
from coronary_calcium.network.preprocessing import INPUT_SIZE
from coronary_calcium.training.validation import Prediction

# Each panel shows this many of the window's pixels (96 mm) around the calcium, each as a square of two by two.
_SHOWN_PIXELS, _ENLARGED = 256, 2
_CAPTION_PIXELS, _GAP_PIXELS = 26, 6
_GROUND, _INK = (24, 24, 24), (235, 235, 235)


def picture_sheet(predictions: list[Prediction], title: str) -> np.ndarray:
    """A row for each prediction, with CT, truth and prediction; uint8 RGB (rows, columns, 3).

    Calcium has its artery's colour, or that of calcium of no named artery where the network names none.
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


def _panels(prediction: Prediction) -> list[np.ndarray]:
    """CT, truth and prediction around the calcium, uint8 RGB of the shown pixels."""
    marked = np.argwhere((prediction.labels > 0) | (prediction.found > 0))
    middle = marked.mean(axis=0) if len(marked) else np.full(2, INPUT_SIZE / 2)
    j, i = np.clip(np.round(middle - _SHOWN_PIXELS / 2), 0, INPUT_SIZE - _SHOWN_PIXELS).astype(int)
    part = np.s_[j : j + _SHOWN_PIXELS, i : i + _SHOWN_PIXELS]
    plain = to_rgb(grey(prediction.center_hu[part], MEDIASTINUM_WINDOW))
    panels = [plain]
    for labels in (prediction.labels[part], prediction.found[part]):
        panel = plain.copy()
        for label in np.unique(labels[labels > 0]):
            panel[labels == label] = rgb(BY_LABEL.get(int(label), UNASSIGNED).color)
        panels.append(panel)
    return panels


def _caption(prediction: Prediction) -> str:
    true, found = prediction.labels > 0, prediction.found > 0
    return (
        f"{Path(prediction.case).stem}, slice {prediction.k}: {int(true.sum())} calcium pixels, "
        f"{int((true & found).sum())} found, {int((found & ~true).sum())} false"
    )
