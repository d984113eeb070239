"""The sections for rules and for reports: what a score is computed by, and the forms in which it leaves."""

from collections.abc import Callable
from dataclasses import replace

import slicer
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.interpretation import ETHNICITIES, RiskFactors, interpret_score, mesa_risk
from coronary_calcium.scoring.options import DEFAULT_OPTIONS
from coronary_calcium.scoring.risk import RISK_SCHEMES
from coronary_calcium.scoring.rules import LITERATURE, RULE_SETS, adapted_to
from coronary_calcium.scoring.volume_mass import (
    PLAUSIBLE_MG_PER_CM3_HU,
    REFERENCE_KVP,
    calibration_from_marks,
    is_plausible,
)
from CoronaryCalciumScoringLib import rules_and_outputs
from CoronaryCalciumScoringLib.review import Review
from slicer.i18n import tr as _

from .application import dicomFilesOf
from .rules_and_outputs_form import build_form
from .rules_and_outputs_work import RulesAndOutputsWork
from .score_view import no_review_text


class RulesAndOutputsSection:
    """Follows the review: ``current()`` gives it or None; ``ensureReport()`` installs what a report needs.

    ``rules`` and ``outputs`` are the sections that the controls go to.
    """

    def __init__(
        self, rules, outputs, current: Callable[[], Review | None], ensureReport: Callable[[], object]
    ) -> None:
        self.form = form = build_form(rules.layout(), outputs.layout())
        form.rodsSelector.setMRMLScene(slicer.mrmlScene)
        self._current = current
        self._review: Review | None = None
        self._factors: RiskFactors | None = None  # of this session only
        self._showing = False
        self._unknown = ""  # why the CT's DICOM images are not known
        self.work = RulesAndOutputsWork(form, lambda: self._review, self.update, ensureReport)
        for combo in (form.rulesComboBox, form.schemeComboBox):
            combo.connect("currentIndexChanged(int)", lambda _index=0: self._choose())
        form.kvpCheckBox.connect("toggled(bool)", lambda _checked=False: self._choose())
        form.factorSpinBox.connect("valueChanged(double)", lambda _value=0.0: self._chooseFactor())
        form.rodsSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda _node=None: self.update())
        form.mesaBox.connect("toggled(bool)", lambda _checked=False: self._chooseFactors())
        for number in form.mesaNumbers.values():
            number.connect("valueChanged(double)", lambda _value=0.0: self._chooseFactors())
        for combo in (form.sexComboBox, form.ethnicityComboBox):
            combo.connect("currentIndexChanged(int)", lambda _index=0: self._chooseFactors())
        for flag in form.mesaFlags.values():
            flag.connect("toggled(bool)", lambda _checked=False: self._chooseFactors())
        form.calibrateButton.connect("clicked(bool)", lambda _checked=False: self.calibrate())
        self.update()

    @property
    def running(self) -> bool:
        """Whether the section has something running."""
        return self.work.running

    def close(self, seconds: float = 0.0) -> None:
        """Stop what runs, and wait for its end at most so long; the review is let go."""
        self.work.abandon(seconds)
        self._review = None
        self.update()

    def update(self) -> None:
        """Make the section show the review as it is, and say what cannot be done and why."""
        review = self._current()
        self._showing = True
        try:
            if review is not self._review:
                self._follow(review)
            self._showChoices()
            self._showReasons()
        finally:
            self._showing = False

    def _follow(self, review: Review | None) -> None:
        """Take another review, or none. Its images are looked up once: hundreds of queries are too slow for an edit."""
        self._review = review
        self.form.rulesTable.visible = False
        self.work.sayNothing()
        self.form.mesaBox.checked = False
        self._unknown = dicomFilesOf(review.volumeNode)[1] if review is not None else ""
        if review is not None:
            review.onChanged.append(lambda _score: self._edited())

    def _edited(self) -> None:
        """The scores have changed: a comparison of those before, or what was said of them, would mislead."""
        self.form.rulesTable.visible = False
        if not self.running:
            self.work.sayNothing()
        self.update()

    def _showChoices(self) -> None:
        form, review = self.form, self._review
        name, options = (review.rules_name, review.options) if review else (LITERATURE.name, DEFAULT_OPTIONS)
        form.rulesComboBox.currentIndex = list(RULE_SETS).index(name)
        form.schemeComboBox.currentIndex = list(RISK_SCHEMES).index(options.risk_scheme.name)
        form.kvpCheckBox.checked = options.kvp_adapted
        form.mesaPanel.visible = form.mesaBox.checked
        form.factorSpinBox.value = options.mass_factor or 0.0
        form.standingLabel.text = form.massLabel.text = form.mesaLabel.text = ""
        if review is None or review.score is None:
            return
        interpretation = interpret_score(review.score, options.risk_scheme)
        form.standingLabel.text = _(
            "Risk category {category} (of {scheme}), CAC-DRS {drs}. Rules: {rules}, from {threshold} HU."
        ).format(
            category=interpretation.category,
            scheme=options.risk_scheme.title,
            drs=interpretation.cac_drs,
            rules=review.rules.title,
            threshold=f"{review.rules.threshold_hu:.0f}",
        )
        if review.marking_threshold_hu != review.rules.threshold_hu:
            form.standingLabel.text += " " + _("Volume and mass, clicks and brush from {threshold} HU.").format(
                threshold=f"{review.marking_threshold_hu:.0f}"
            )
        if interpretation.repeatability_limit is not None:
            form.standingLabel.text += " " + _("95 % repeatability limit (cardiac CT): +/- {limit}.").format(
                limit=f"{interpretation.repeatability_limit:.0f}"
            )
        try:
            calibration = self._calibration()
            source = calibration.source if calibration.calibrated else _("not calibrated: ") + calibration.source
            form.massLabel.text = f"{calibration.mg_per_cm3_hu:.3f} mg/cm³/HU ({source})"
        except InputError as rejection:
            form.massLabel.text = str(rejection)
        if options.risk_factors is not None:
            risk = mesa_risk(options.risk_factors, review.score.total.agatston)
            form.mesaLabel.text = _(
                "{with_calcium} % with this score, {without} % from the risk factors alone."
            ).format(with_calcium=f"{100 * risk.with_calcium:.1f}", without=f"{100 * risk.without_calcium:.1f}")

    def _showReasons(self) -> None:
        """Enable what can be done; what cannot says why in its tooltip."""
        form, review = self.form, self._review
        reason = no_review_text() if review is None else ""
        if review is not None and review.score is None:
            reason = review.live.reason
        if self.running:
            reason = _("Wait for the work that is running, or cancel it.")
        for box in (form.rulesBox, form.massBox, form.mesaBox):
            box.enabled = not reason
        unknown = self._unknown
        _enable(form.reportButton, reason, _("Write the report as a web page, and as a PDF to print and sign."))
        _enable(
            form.identityCheckBox, reason or unknown, _("Put patient and study from the DICOM header into the report.")
        )
        _enable(
            form.segButton, reason or unknown, _("Write a DICOM segmentation (SEG); it carries the patient's identity.")
        )
        _enable(
            form.srButton,
            reason or unknown,
            _("Write a DICOM structured report (SR) of the scores; it carries the patient's identity."),
        )
        _enable(
            form.databaseCheckBox,
            reason or unknown,
            _("Add SEG and SR to Slicer's DICOM database, under the CT's patient and study."),
        )
        if unknown:
            form.identityCheckBox.checked = False
        _enable(form.kvpCheckBox, self._whyNotAdapted(), self._adaptedTip())
        points = form.rodsSelector.currentNode()
        missing = "" if points else _("Place two points with Slicer's Markups, and select their list here.")
        _enable(form.calibrateButton, missing, _("Measure the two calibration inserts at the two points."))
        waiting = _("Wait for the work that is running, or cancel it.") if self.running else ""
        _enable(
            form.selfTestButton,
            waiting,
            _("Simulate a scan of nine cylinders of known calcium, and compare the measured with the true values."),
        )

    def _whyNotAdapted(self) -> str:
        """Why the thresholds cannot be adapted to the tube voltage; empty if they can, or are."""
        review = self._review
        if review is None or review.options.kvp_adapted:
            return ""
        scan = review.acquisition
        if scan.kvp == REFERENCE_KVP and not scan.tin_filter:
            return _("The tube voltage was 120 kVp, for which the thresholds are defined.")
        try:
            adapted_to(RULE_SETS[review.rules_name], scan.kvp, scan.tin_filter)
        except InputError as rejection:
            return str(rejection)
        return ""

    def _adaptedTip(self) -> str:
        kvp = self._review.acquisition.kvp if self._review else None
        if kvp is None:
            return ""
        return _(
            "The tube voltage was {kvp} kVp. With adapted thresholds, the score is not that of a workstation."
        ).format(kvp=f"{kvp:g}")

    def _choose(self) -> None:
        """Take rule set, scheme and voltage from the controls."""
        form = self.form
        self._use(
            list(RULE_SETS)[form.rulesComboBox.currentIndex],
            kvp_adapted=form.kvpCheckBox.checked,
            risk_scheme=list(RISK_SCHEMES.values())[form.schemeComboBox.currentIndex],
        )

    def _chooseFactor(self) -> None:
        value = self.form.factorSpinBox.value or None
        if self._review is None or self._showing:
            return
        if value is not None and not is_plausible(value):
            lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
            self.form.massLabel.text = _("A factor is {low} to {high} mg/cm³/HU.").format(low=lowest, high=highest)
            return
        self._use(self._review.rules_name, mass_factor=value, rods=None)

    def _chooseFactors(self) -> None:
        if self._review is not None:
            self._use(self._review.rules_name, risk_factors=self._riskFactors())

    def _riskFactors(self) -> RiskFactors | None:
        form = self.form
        if not form.mesaBox.checked:
            return None
        numbers = {name: box.value for name, box in form.mesaNumbers.items()}
        flags = {name: box.checked for name, box in form.mesaFlags.items()}
        return RiskFactors(
            age=numbers["age"],
            male=form.sexComboBox.currentIndex == 1,
            ethnicity=ETHNICITIES[form.ethnicityComboBox.currentIndex],
            total_cholesterol=numbers["totalCholesterol"],
            hdl_cholesterol=numbers["hdlCholesterol"],
            systolic_pressure=numbers["systolicPressure"],
            diabetes=flags["diabetes"],
            smoker=flags["smoker"],
            lipid_medication=flags["lipidMedication"],
            pressure_medication=flags["pressureMedication"],
            family_history=flags["familyHistory"],
        )

    def _use(self, rules_name: str, **changes) -> None:
        """Let the review count by these options; a rejection is said, and everything stays as it was."""
        if self._showing or self._review is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The rules could not be changed.")):
            try:
                self._review.use(rules_name, replace(self._review.options, **changes))
            except InputError as rejection:
                self.form.rulesAnswer.say(str(rejection))
        self.update()

    def _calibration(self):
        from coronary_calcium.pipeline import calibrated

        return calibrated(self._review.ct.volume, self._review.options)

    def calibrate(self) -> None:
        """Measure the calibration inserts at the points of the list that is selected."""
        try:
            marks = rules_and_outputs.rods_of(self.form.rodsSelector.currentNode())
            calibration_from_marks(self._review.ct.volume, marks)
        except InputError as rejection:
            self.form.massAnswer.say(str(rejection))
            return
        self.form.massAnswer.say("")
        self._use(self._review.rules_name, rods=marks, mass_factor=None)


def _enable(widget, reason: str, tip: str) -> None:
    widget.enabled = not reason
    if reason or tip:
        widget.toolTip = reason or tip
