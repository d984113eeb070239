"""The pieces of the PDF report: fonts and styles, tables, bars and pictures, drawn so that they read in gray too."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable, Paragraph, Table

from coronary_calcium.reports.pdf_fonts import BOLD, FONT, markup
from coronary_calcium.reports.pictures import Picture

INK, QUIET, LINE, PANEL = (colors.HexColor(code) for code in ("#1a1d21", "#5c646d", "#d5dade", "#f4f6f7"))
_BAR_HEIGHT = 2.4 * mm


def style(size: float = 8.0, *, bold: bool = False, color: colors.Color = INK, right: bool = False) -> ParagraphStyle:
    """A paragraph style; ``size`` in points."""
    return ParagraphStyle(
        f"{size}-{bold}-{color}-{right}",
        fontName=BOLD if bold else FONT,
        fontSize=size,
        leading=size * 1.3,
        textColor=color,
        alignment=2 if right else 0,
    )


def text(value: object, size: float = 8.0, **options: Any) -> Paragraph:
    """A paragraph of plain text: nothing in ``value`` is taken for markup. Options as for ``style``."""
    return Paragraph(markup(value, options.get("bold", False)), style(size, **options))


def picture(shown: Picture, side: float) -> Flowable:
    """A picture with R for the patient's right and its scale bar; ``side`` in points."""
    return _PictureWithScale(shown, side)


class _PictureWithScale(Flowable):
    """A square picture with its marks drawn over it."""

    def __init__(self, shown: Picture, side: float) -> None:
        super().__init__()
        self._shown = shown
        self.width = self.height = side

    def draw(self) -> None:
        """Draw onto the page; called by reportlab."""
        side, canvas = self.width, self.canv
        canvas.drawImage(ImageReader(io.BytesIO(self._shown.png)), 0, 0, side, side)
        length = side * self._shown.scale_mm / self._shown.side_mm
        margin = 1.6 * mm
        canvas.setFont(FONT, 6)
        # White with a black edge, which shows on lung and on bone alike.
        for line, color in ((1.4, colors.black), (0, colors.white)):
            canvas.setStrokeColor(color)
            canvas.setFillColor(color)
            canvas.setLineWidth(line)
            mode = 2 if line else 0
            canvas.drawString(margin, side / 2, "R", mode=mode)
            canvas.drawRightString(side - margin, margin + 1.2 * mm, f"{self._shown.scale_mm} mm", mode=mode)
            canvas.setLineWidth(line + 1.0)
            canvas.line(side - margin - length, margin, side - margin, margin)


def bar(share: float, width: float, color: tuple[float, float, float]) -> Drawing:
    """A bar that fills ``share`` (0..1) of ``width`` points, with a dark edge that shows in gray too."""
    drawing = Drawing(width, _BAR_HEIGHT)
    drawing.add(Rect(0, 0, width, _BAR_HEIGHT, fillColor=PANEL, strokeColor=LINE, strokeWidth=0.4))
    if share > 0:
        fill = colors.Color(*color)
        drawing.add(Rect(0, 0, max(share * width, 0.6), _BAR_HEIGHT, fillColor=fill, strokeColor=INK, strokeWidth=0.5))
    return drawing


def swatch(color: tuple[float, float, float]) -> Drawing:
    """An artery's color as a small square."""
    side = 2.4 * mm
    drawing = Drawing(side, side)
    drawing.add(Rect(0, 0, side, side, fillColor=colors.Color(*color), strokeColor=INK, strokeWidth=0.4))
    return drawing


def table(
    rows: Sequence[Sequence[Any]], widths: Sequence[float], commands: Iterable[tuple] = (), padding: float = 1.2
) -> Table:
    """A table without frame; ``widths`` in points, ``padding`` above and below in points."""
    plain = [
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), padding),
        ("BOTTOMPADDING", (0, 0), (-1, -1), padding),
    ]
    return Table(rows, colWidths=widths, style=[*plain, *commands], hAlign="LEFT")


def facts_table(facts: Sequence[tuple[str, object]], width: float, label: float, size: float = 7.5) -> Table:
    """Names and values below each other; ``width`` and the names' ``label`` width in points."""
    rows = [[text(name, size, color=QUIET), text(value, size)] for name, value in facts]
    return table(rows, [label, width - label], [("VALIGN", (0, 0), (-1, -1), "TOP")], padding=0.5)
