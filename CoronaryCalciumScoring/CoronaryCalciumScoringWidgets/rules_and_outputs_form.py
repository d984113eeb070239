"""The controls of the sections for rules and for reports, made in code."""

from types import SimpleNamespace

import qt
import slicer
from coronary_calcium.scoring.interpretation import ETHNICITIES, MESA_AGES, PLAUSIBLE
from coronary_calcium.scoring.risk import RISK_SCHEMES
from coronary_calcium.scoring.rules import RULE_SETS
from coronary_calcium.scoring.volume_mass import PLAUSIBLE_MG_PER_CM3_HU
from coronary_calcium.simulation.protocol import KERNELS
from slicer.i18n import tr as _

from .controls import Answer, FittedColumns, checkBox, pushButton

# What the MESA form opens with: the middle of what the study covers; every value is the user's to enter.
_MESA_NUMBERS = (
    # name, label, range, first value, unit
    ("age", _("Age"), MESA_AGES, 60, _("years")),
    ("totalCholesterol", _("Total cholesterol"), PLAUSIBLE["total_cholesterol"], 200, "mg/dl"),
    ("hdlCholesterol", _("HDL cholesterol"), PLAUSIBLE["hdl_cholesterol"], 50, "mg/dl"),
    ("systolicPressure", _("Systolic pressure"), PLAUSIBLE["systolic_pressure"], 120, "mmHg"),
)
MESA_FLAGS = {
    "diabetes": _("Diabetes"),
    "smoker": _("Smoker"),
    "lipidMedication": _("Lipid medication"),
    "pressureMedication": _("Blood pressure medication"),
    "familyHistory": _("Family history of heart attack"),
}
# Of the two tables, the widest choice of columns that fits.
_RULES_COLUMNS = ((0, 1, 2, 3, 4, 5), (0, 2, 3, 4, 5), (0, 3, 4, 5))
_INSERT_COLUMNS = ((0, 1, 2, 3, 4), (0, 1, 2, 3), (0, 1, 2))
SELF_TEST_THICKNESS_MM, SELF_TEST_DOSE = (0.5, 8.0), (0.05, 4.0)


def build_form(rules_layout, outputs_layout) -> SimpleNamespace:
    """Add the controls to the layouts of the two sections; returns them by name.

    Of each part that has work to do, ``...Answer`` says what came of it.
    """
    form = SimpleNamespace()
    _rules(form, rules_layout)
    _mass(form, rules_layout)
    _mesa(form, rules_layout)
    _self_test(form, rules_layout)
    _outputs(form, outputs_layout)
    return form


def _rules(form, layout) -> None:
    box, rows = _group(layout, _("Rules"))
    form.rulesBox = box
    form.rulesComboBox = _combo(
        [rules.title for rules in RULE_SETS.values()],
        _("The rules that the scores are computed by; the scores follow at once."),
    )
    form.schemeComboBox = _combo(
        [scheme.title for scheme in RISK_SCHEMES.values()], _("The risk categories of the total score.")
    )
    form.kvpCheckBox = checkBox(_("Adapt thresholds to the kVp"), "")
    form.compareButton = pushButton(
        _("Compare rules"), _("Score the same lesions by every rule set, to explain a difference from a workstation.")
    )
    form.standingLabel = _label()
    rows.addRow(_("Rule set"), form.rulesComboBox)
    rows.addRow(_("Risk categories"), form.schemeComboBox)
    rows.addRow(form.kvpCheckBox)
    rows.addRow(form.standingLabel)
    rows.addRow(form.compareButton)
    form.rulesTable = _table(_("The rule sets side by side."))
    form.rulesColumns = FittedColumns(form.rulesTable, _RULES_COLUMNS, whole=True)
    rows.addRow(form.rulesTable)
    form.rulesAnswer = _answer(rows)


def _mass(form, layout) -> None:
    box, rows = _group(layout, _("Calcium mass"))
    form.massBox = box
    form.factorSpinBox = _number((0.0, PLAUSIBLE_MG_PER_CM3_HU[1]), 0.0, 3, 0.01, " mg/cm³/HU")
    form.factorSpinBox.specialValueText = _("from the header or typical")
    form.factorSpinBox.toolTip = _(
        "Calibration factor of this scanner, about 0.8 at 120 kVp. 0: the header's, or a typical one, which is "
        "labeled as not calibrated."
    )
    form.rodsSelector = slicer.qMRMLNodeComboBox()
    form.rodsSelector.nodeTypes = ["vtkMRMLMarkupsFiducialNode"]
    form.rodsSelector.noneEnabled = True
    form.rodsSelector.addEnabled = form.rodsSelector.removeEnabled = False
    form.rodsSelector.noneDisplay = _("No calibration phantom")
    form.rodsSelector.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
    form.rodsSelector.toolTip = _(
        "A point list with two points, placed with Slicer's Markups: the center of the 200 mg/cm³ calibration insert, "
        "then the center of the water insert."
    )
    form.calibrateButton = pushButton(_("Measure inserts"), _("Measure the two calibration inserts at the two points."))
    form.massLabel = _label()
    rows.addRow(_("Factor"), form.factorSpinBox)
    rows.addRow(_("Inserts"), form.rodsSelector)
    rows.addRow(form.calibrateButton)
    rows.addRow(form.massLabel)
    form.massAnswer = _answer(rows)


def _mesa(form, layout) -> None:
    box = qt.QGroupBox(_("10-year CHD risk (MESA)"))
    layout.addWidget(box)
    form.mesaPanel = qt.QWidget()
    around = qt.QVBoxLayout(box)
    around.setContentsMargins(0, 0, 0, 0)
    around.addWidget(form.mesaPanel)
    rows = _form_layout(form.mesaPanel)
    box.checkable = True
    box.checked = False
    box.toolTip = _(
        "10-year risk of coronary heart disease. Enter the patient's risk factors; they are used for the report and "
        "are not saved."
    )
    form.mesaBox = box
    form.mesaNumbers, form.mesaFlags = {}, {}
    for name, label, limits, first, unit in _MESA_NUMBERS:
        form.mesaNumbers[name] = _number(limits, first, 0, 1, f" {unit}")
        form.mesaNumbers[name].toolTip = _("{label} of the patient.").format(label=label)
        rows.addRow(label, form.mesaNumbers[name])
    form.sexComboBox = _combo(["female", "male"], _("Sex of the patient."))
    form.ethnicityComboBox = _combo(list(ETHNICITIES), _("The patient's group, as the MESA study names them."))
    rows.addRow(_("Sex"), form.sexComboBox)
    rows.addRow(_("Ethnicity"), form.ethnicityComboBox)
    for name, label in MESA_FLAGS.items():
        form.mesaFlags[name] = checkBox(label, _("Whether this applies to the patient."))
        rows.addRow(form.mesaFlags[name])
    form.mesaLabel = _label()
    rows.addRow(form.mesaLabel)


def _outputs(form, layout) -> None:
    form.identityCheckBox = checkBox(_("Patient and study in the report"), "")
    form.reportButton = pushButton(_("Report (HTML and PDF)..."), "")
    form.segButton = pushButton(_("DICOM SEG..."), "")
    form.srButton = pushButton(_("DICOM SR..."), "")
    row = qt.QHBoxLayout()
    row.addWidget(form.segButton)
    row.addWidget(form.srButton)
    layout.addWidget(form.reportButton)
    layout.addWidget(form.identityCheckBox)
    layout.addLayout(row)
    form.databaseCheckBox = checkBox(_("SEG, SR also into the database"), "")
    form.databaseCheckBox.checked = True
    layout.addWidget(form.databaseCheckBox)
    form.outputsAnswer = Answer(layout)


def _self_test(form, layout) -> None:
    box, rows = _group(layout, _("Self-test (digital QRM insert)"))
    form.thicknessSpinBox = _number(SELF_TEST_THICKNESS_MM, 3.0, 2, 0.5, " mm")
    form.thicknessSpinBox.toolTip = _("Slice thickness of the simulated scan.")
    form.kernelComboBox = _combo(list(KERNELS), _("Reconstruction kernel of the simulated scan."))
    form.kernelComboBox.currentIndex = list(KERNELS).index("standard")
    form.doseSpinBox = _number(SELF_TEST_DOSE, 1.0, 2, 0.25, _(" x standard"))
    form.doseSpinBox.toolTip = _("Relative to the dose that gives 20 HU of noise with the standard kernel at 3 mm.")
    form.selfTestButton = pushButton(
        _("Run self-test"),
        _("Simulate a scan of nine cylinders of known calcium, and compare the measured with the true values."),
    )
    rows.addRow(_("Slice thickness"), form.thicknessSpinBox)
    rows.addRow(_("Kernel"), form.kernelComboBox)
    rows.addRow(_("Dose"), form.doseSpinBox)
    rows.addRow(form.selfTestButton)
    form.insertTable = _table(_("The insert's true values, and what was measured."))
    form.insertColumns = FittedColumns(form.insertTable, _INSERT_COLUMNS, whole=True)
    rows.addRow(form.insertTable)
    form.selfTestAnswer = _answer(rows)
    form.selfTestBox = box


def _answer(rows) -> Answer:
    """Progress, and what came of it in words, as a row of a form."""
    layout = qt.QVBoxLayout()
    rows.addRow(layout)
    return Answer(layout)


def _group(layout, title: str):
    box = qt.QGroupBox(title)
    rows = _form_layout(box)
    layout.addWidget(box)
    return box, rows


def _form_layout(parent):
    """Labels beside their controls, or above them where the panel is narrow."""
    rows = qt.QFormLayout(parent)
    rows.setRowWrapPolicy(qt.QFormLayout.WrapLongRows)
    rows.setContentsMargins(6, 6, 6, 6)
    return rows


def _combo(texts: list[str], tip: str):
    combo = qt.QComboBox()
    for text in texts:
        combo.addItem(text)
    combo.toolTip = tip
    return combo


def _table(tip: str):
    """A table that is hidden until it is filled, and is as high as its rows."""
    table = qt.QTableWidget()
    table.toolTip = tip
    table.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
    table.visible = False
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
    table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
    table.verticalHeader().hide()
    return table


def _label():
    label = qt.QLabel()
    label.wordWrap = True
    label.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
    return label


def _number(limits: tuple[float, float], first: float, decimals: int, step: float, suffix: str):
    box = qt.QDoubleSpinBox()
    box.setDecimals(decimals)
    box.setRange(*limits)
    box.singleStep = step
    box.suffix = suffix
    box.value = first
    return box
