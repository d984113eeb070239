"""The panel with a worklist open, as a reader uses it."""

from coronary_calcium.cohort.readings import read_status, reading_folder

CASES = ("case-1", "case-2", "case-3")


class Reading:
    """The panel with a worklist open."""

    def __init__(self, application, folder, reader="anna"):
        self.panel, self.folder = application, folder
        application.ui = application.widget.ui
        self.section = application.widget.worklist
        self.form = self.section.form
        self.form.readerEdit.text = reader
        self.open_folder()

    def open_folder(self):
        self.section.openFolder(str(self.folder))
        self.settle()

    def settle(self):
        self.panel.until(lambda: not self.section.run.running)
        self.section._marked = 0.0  # a reader who takes their time
        self.panel.volume = self.panel.ui.inputSelector.currentNode()

    def press(self, key):
        self.section.shortcuts[key].activated.emit()
        self.settle()

    def open(self, case_id):
        self.section.open(case_id)
        self.settle()

    def choose(self, combo, title):
        combo.currentIndex = [combo.itemText(index) for index in range(combo.count)].index(title)

    def status(self, case_id, reader="anna"):
        return read_status(reading_folder(self.folder, reader, case_id))[0]

    def statuses(self):
        return [self.section.reading.worklist.rows[case_id].status for case_id in CASES]

    def shown(self, column=0):
        table = self.form.table
        cells = [table.item(row, column) for row in range(table.rowCount)]
        return [cell.text() for cell in cells if cell is not None]

    def says(self):
        return self.form.answer.statusLabel.text
