"""The worklist's open case: read ahead, shown in the panel, kept after each edit, marked and left."""

import functools
from collections.abc import Callable

import qt
import slicer
from coronary_calcium.cohort.readings import NOT_GRADABLE, reading_folder, version_of
from coronary_calcium.cohort.worklist import Worklist
from coronary_calcium.cohort.worklist_case import WorklistCase, read_case
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.read_ahead import ReadAhead
from CoronaryCalciumScoringLib.review import Review
from CoronaryCalciumScoringLib.worklist import OpenCase, mark_unopened
from slicer.i18n import tr as _

from .run_control import RunControl

# An edit is kept so long after it: when the scores have followed, and before another stroke is done.
SAVE_DELAY_MS = 300
# How often the next case's reading gets a turn (background_run.TURN_SECONDS); the reader's strokes come first.
AHEAD_INTERVAL_MS = 100


def read_own(worklist: Worklist, case_id: str, progress: Progress) -> WorklistCase:
    """Read a case for the worklist's reader; touches neither MRML nor Qt."""
    return read_case(worklist.folder, case_id, worklist.reader, worklist.blinding, progress)


class WorklistReading:
    """Opens one case at a time in the panel.

    ``run`` shows what takes its time; ``show(volumeNode)`` has the panel show a CT with its review, or none;
    ``current()`` gives the panel's review; ``say`` shows a sentence; ``changed()`` is called when another case is
    open or none, or the row of one has changed.

    Attributes
    ----------
    worklist : the list that is open, or None.
    id : of the case that the reader is at, whether it could be opened or not.
    case : the case in the scene, or None.
    """

    def __init__(
        self,
        run: RunControl,
        show: Callable[[object], object],
        current: Callable[[], Review | None],
        say: Callable[[str], object],
        changed: Callable[[], object],
    ) -> None:
        self._run, self._show, self._current, self._say, self._changed = run, show, current, say, changed
        self.worklist: Worklist | None = None
        self.id: str | None = None
        self.case: OpenCase | None = None
        self._followed: Review | None = None
        self._following: Callable[[], str | None] = lambda: None
        self._ahead: ReadAhead | None = None
        self._saveTimer = qt.QTimer()
        self._saveTimer.setSingleShot(True)
        self._saveTimer.setInterval(SAVE_DELAY_MS)
        self._saveTimer.connect("timeout()", self.keep)
        self._aheadTimer = qt.QTimer()
        self._aheadTimer.setInterval(AHEAD_INTERVAL_MS)
        self._aheadTimer.connect("timeout()", self._readAhead)

    def begin(
        self,
        worklist: Worklist | None,
        following: Callable[[], str | None] = lambda: None,
        read: Callable[[Worklist, str, Progress], WorklistCase] = read_own,
    ) -> None:
        """Read the cases of this list, or of none, by ``read``, which touches neither MRML nor Qt.

        ``following()`` gives the id of the case to read ahead.
        """
        self.forget()
        self.worklist, self._following = worklist, following
        self._ahead = ReadAhead(functools.partial(read, worklist)) if worklist is not None else None

    def forget(self) -> None:
        """Let go of the case, such as when its scene closes; what was not kept is lost."""
        self._saveTimer.stop()
        self._aheadTimer.stop()
        if self._ahead is not None:
            self._ahead.forget()
        self.case = self.id = self._followed = None

    def open(self, case_id: str) -> None:
        """Keep and leave the case that is open, and open this one."""
        if not self.leave():
            return
        self.id = case_id
        self._say("")
        self._changed()
        found = self._ahead.take(case_id)
        if isinstance(found, WorklistCase) and found.version != self._versionNow(case_id):
            found = self._ahead.take(case_id)  # kept by another program since it was read
        if isinstance(found, WorklistCase):
            self._showCase(found)
        else:
            self._run.follow(found, lambda outcome, _seconds: self._caseRead(outcome))

    def _versionNow(self, case_id: str) -> str:
        return version_of(reading_folder(self.worklist.folder, self.worklist.reader, case_id))

    def _caseRead(self, outcome) -> None:
        self._say("" if isinstance(outcome, (Finished, Failed)) else _("Cancelled: the case is not open."))
        if isinstance(outcome, Finished):
            self._showCase(outcome.result)
        elif isinstance(outcome, Failed):
            with slicer.util.tryWithErrorDisplay(_("The case could not be opened.")):
                try:
                    raise outcome.error
                except InputError as rejection:
                    self._say(_("This case cannot be opened: {reason}").format(reason=rejection))

    def _showCase(self, case: WorklistCase) -> None:
        """Show a case in the panel, and begin to read the next one."""
        with slicer.util.tryWithErrorDisplay(_("The case could not be shown."), waitCursor=True):
            try:
                self.case = OpenCase(slicer.mrmlScene, self.worklist, case)
                self._show(self.case.volumeNode)
            except InputError as rejection:
                self._say(_("This case cannot be opened: {reason}").format(reason=rejection))
        self.update()
        self._changed()
        self._ahead.want(self._following())
        self._aheadTimer.start()

    def _readAhead(self) -> None:
        self._ahead.poll()
        if not self._ahead.reading:
            self._aheadTimer.stop()

    def update(self) -> None:
        """Follow the panel's review: what is edited in the open case is kept."""
        review = self.review()
        if review is not self._followed:
            self._followed = review
            if review is not None:
                review.onChanged.append(lambda _score: self._edited())
                self._edited()  # another review of the case, such as of a run of the network, may be new as a whole

    def review(self) -> Review | None:
        """The panel's review, its scores up to date, if it is of the open case."""
        review = self._current()
        mine = review is not None and self.case is not None and review.volumeNode is self.case.volumeNode
        return review if mine else None

    def _edited(self) -> None:
        # Not put off by the next edit, so that a reader who paints without a pause loses no more than one stroke.
        if not self._saveTimer.active:
            self._saveTimer.start()

    def keep(self) -> bool:
        """Keep what was done in the open case; whether nothing is lost."""
        self._saveTimer.stop()
        return self.case is None or self._save()

    def _save(self, mark: str | None = None, reason: str = "") -> bool:
        review = self.review()
        if review is not None and review.segmentationNode.GetScene() and review.volumeNode.GetScene():
            review.live.update()  # a stroke whose scores have not followed yet
        try:
            if self.case.save(review, mark, reason):
                self._changed()
            if self.case.set_aside is not None:
                self._say(
                    _(
                        "Another Slicer kept this case under your name: yours is kept now, and that one is in {folder}."
                    ).format(folder=self.case.set_aside)
                )
        except InputError as rejection:
            self._say(_("Not kept: {reason}").format(reason=rejection))
            return False
        return True

    def leave(self) -> bool:
        """Keep what was done in the open case and close it; False, and it stays, if it cannot be kept."""
        if not self.keep():
            return False
        case, self.case, self._followed = self.case, None, None
        if case is not None:
            if case.in_scene:
                self._show(None)
            case.close()
        return True

    def mark(self, mark: str, reason: str = "") -> bool:
        """Mark the case that the reader is at; whether it is marked."""
        if self.case is not None:
            return self._save(mark, reason)
        if mark != NOT_GRADABLE or self.id is None:
            return False
        try:
            mark_unopened(self.worklist, self.id, reason)
        except InputError as rejection:
            self._say(_("Not kept: {reason}").format(reason=rejection))
            return False
        self._changed()
        return True
