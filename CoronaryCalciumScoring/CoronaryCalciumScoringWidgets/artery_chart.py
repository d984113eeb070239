"""The arteries' shares in the score as one bar, and below it the AI's, drawn to the same scale."""

import qt
from coronary_calcium.arteries import BY_NAME
from CoronaryCalciumScoringLib.score_table import TOTAL, ScoreRow
from slicer.i18n import tr as _

LEAST_WIDTH, MOST_WIDTH, BAR_HEIGHT, GAP, TITLE_WIDTH = 240, 600, 16, 6, 40


def artery_color(name: str):
    """The colour of an artery as Qt's."""
    return qt.QColor(*(round(255 * part) for part in BY_NAME[name].color))


def draw_chart(label, rows: list[ScoreRow]) -> None:
    """Draw the rows of a score table into a label; nothing when there is no calcium."""
    bars = [(_("You"), [(row.artery, row.agatston) for row in rows if row.artery != TOTAL])]
    if rows and rows[-1].proposed is not None:
        bars.append((_("AI"), [(row.artery, row.proposed) for row in rows if row.artery != TOTAL]))
    longest = max((sum(score for _name, score in parts) for _title, parts in bars), default=0.0)
    label.visible = longest > 0
    if not longest:
        return
    width = min(max(label.width, LEAST_WIDTH), MOST_WIDTH)
    picture = qt.QPixmap(width, len(bars) * (BAR_HEIGHT + GAP))
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(picture)
    for index, (title, parts) in enumerate(bars):
        top, left = index * (BAR_HEIGHT + GAP), TITLE_WIDTH
        painter.setPen(label.palette.color(qt.QPalette.WindowText))
        painter.drawText(qt.QRect(0, top, TITLE_WIDTH, BAR_HEIGHT), int(qt.Qt.AlignVCenter), title)
        for name, score in parts:
            # The ends are rounded, not the lengths, so that the parts leave no gap.
            right = left + score / longest * (width - TITLE_WIDTH)
            painter.fillRect(qt.QRect(round(left), top, round(right) - round(left), BAR_HEIGHT), artery_color(name))
            left = right
    painter.end()
    label.setPixmap(picture)
