"""The module's help, as the application shows it above the panel."""

from slicer.i18n import tr as _


def helpText() -> str:
    """How to use the module, as HTML."""
    return _("""
<p>Finds calcified plaque of the coronary arteries on a non-contrast CT of the chest or heart and gives the Agatston
score of each artery.</p>
<ol>
<li>Select the CT and press <b>Run</b>, or <b>Start without AI</b> to mark the calcium yourself.</li>
<li>Check each lesion: select it in the list, or press <b>N</b> and <b>P</b>.</li>
<li>Correct: keys <b>1</b> to <b>4</b> choose LM, LAD, LCX or RCA; a click on a bright spot in a slice view assigns
the whole lesion to that artery. <b>Shift</b> with a click, or key <b>0</b> and a click, removes a lesion. For parts
of a lesion, open <b>Brush, eraser and other tools</b>. <b>Ctrl+Z</b> undoes, <b>Ctrl+Y</b> redoes.</li>
<li>The scores follow every edit; beside them is what the AI found.</li>
<li>Save the report and tables with <b>Results</b>, or the case for training with <b>Training case</b>. Saving the scene
keeps the review, too.</li>
<li>Many cases: <b>Worklist</b> takes you from one to the next, and keeps what you do.</li>
</ol>
<p>A patient to try it on, made on this computer: module <b>Sample Data</b>, <b>Simulated chest CT</b>.</p>
<p><b>Research use only: check every lesion against the images.</b></p>
""")
