"""The state of a cohort: one SQLite file with every case, what became of it, and documented views.

The process that runs the cohort is the only one that writes; others may read at any time (WAL).
"""

import json
import os
import secrets
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coronary_calcium.cohort.case_search import FolderContent, salted
from coronary_calcium.cohort.cases import (
    DATABASE,
    DONE,
    FAILED,
    QUEUED,
    REJECTED,
    RUNNING,
    STATES,
    FoundCase,
    Job,
    Outcome,
)
from coronary_calcium.cohort.score_table import COLUMNS, LESION_COLUMNS
from coronary_calcium.errors import InputError

SCHEMA_VERSION = "1"
_BATCH = 256

_TABLES = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS folders (path TEXT PRIMARY KEY, modified INTEGER NOT NULL, folders TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS case_state (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, key TEXT UNIQUE NOT NULL, path TEXT, mask TEXT, study TEXT,
  fingerprint TEXT NOT NULL DEFAULT '', state TEXT NOT NULL CHECK (state IN {STATES}),
  attempts INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  log TEXT NOT NULL DEFAULT '', seconds REAL, scored_with TEXT NOT NULL DEFAULT '',
  scored_input TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS case_by_state ON case_state (state, number);
CREATE TABLE IF NOT EXISTS sources (
  number INTEGER NOT NULL, folder TEXT NOT NULL, names BLOB NOT NULL, PRIMARY KEY (number, folder)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS source_by_folder ON sources (folder);
CREATE TABLE IF NOT EXISTS scores (number INTEGER PRIMARY KEY, {", ".join(f"{c.name} {c.kind}" for c in COLUMNS)});
CREATE TABLE IF NOT EXISTS warning (number INTEGER NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY (number, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lesion (number INTEGER NOT NULL, {", ".join(f"{c.name} {c.kind}" for c in LESION_COLUMNS)},
  PRIMARY KEY (number, lesion)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS cohort AS SELECT id, state, code, reason, {", ".join(c.name for c in COLUMNS)},
  seconds, attempts FROM case_state LEFT JOIN scores USING (number) ORDER BY number;
CREATE VIEW IF NOT EXISTS warnings AS SELECT id, warning.code AS code, message
  FROM warning JOIN case_state USING (number);
CREATE VIEW IF NOT EXISTS lesions AS SELECT id, {", ".join(c.name for c in LESION_COLUMNS)}
  FROM lesion JOIN case_state USING (number);
"""  # noqa: S608 - of names in this program alone


class CohortState:
    """The state file of a cohort's folder, made when it is not there.

    Raises InputError: "cohort-state" for a file of another version or one that is damaged, "output" when the folder
    cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / DATABASE
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            # What a power failure may take from the last transactions is in the cases' folders, which are adopted.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (SCHEMA_VERSION,))
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('salt', ?)", (secrets.token_hex(16),))
        except OSError as error:
            raise InputError(
                "output", f"{folder} cannot be written ({error.strerror}); name another folder."
            ) from error
        except sqlite3.Error as error:
            raise InputError(
                "cohort-state", f"{self.path} cannot be used as a cohort's state ({error}); name another --output."
            ) from error
        if self.meta("schema") != SCHEMA_VERSION:
            raise InputError(
                "cohort-state", f"{self.path} is of another version of this program; name another --output."
            )
        self.salt = self.meta("salt")

    def __enter__(self) -> "CohortState":
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def meta(self, key: str) -> str:
        """A value of the table ``meta``; empty where there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # The search.

    def known_folders(self) -> dict[str, tuple[int, list[str]]]:
        """Time of change and folders of every folder that was read."""
        rows = self._db.execute("SELECT path, modified, folders FROM folders")
        return {path: (modified, json.loads(folders)) for path, modified, folders in rows}

    def put_folder(self, content: FolderContent) -> None:
        """Put what lies in a folder in place of what was known of it."""
        with self.transaction():
            touched = self._drop_sources([content.path])
            for key, names in content.studies.items():
                number = self._number_of(FoundCase(key))
                self._db.execute(
                    "INSERT INTO sources VALUES (?, ?, ?)",
                    (number, content.path, zlib.compress(json.dumps(names).encode(), 1)),
                )
                touched.add(number)
            for name in content.images:
                path = os.path.join(content.path, name)
                touched.add(self._number_of(FoundCase(salted(self.salt, "path", path), path)))
            self._fingerprint(touched)
            self._db.execute(
                "INSERT OR REPLACE INTO folders VALUES (?, ?, ?)",
                (content.path, content.modified, json.dumps(content.folders)),
            )

    def forget_folders(self, paths: Iterable[str]) -> None:
        """Forget folders that are there no more; cases of which nothing is left stay, and are rejected when scored."""
        paths = list(paths)
        with self.transaction():
            self._fingerprint(self._drop_sources(paths))
            self._db.executemany("DELETE FROM folders WHERE path = ?", [(path,) for path in paths])

    def add_cases(self, cases: Iterable[FoundCase]) -> None:
        """Add cases that were named one by one; those that are known get their new mask.

        Raises InputError("cohort-id") for an id that another case has.
        """
        with self.transaction():
            self._fingerprint({self._number_of(case) for case in cases})

    def _drop_sources(self, folders: list[str]) -> set[int]:
        touched: set[int] = set()
        for folder in folders:
            rows = self._db.execute("SELECT number FROM sources WHERE folder = ?", (folder,))
            touched.update(number for (number,) in rows)
            self._db.execute("DELETE FROM sources WHERE folder = ?", (folder,))
        return touched

    def _number_of(self, case: FoundCase) -> int:
        row = self._db.execute("SELECT number, mask FROM case_state WHERE key = ?", (case.key,)).fetchone()
        if row is not None:
            self._db.execute(
                "UPDATE case_state SET path = ?, mask = ? WHERE number = ?", (case.path, case.mask, row[0])
            )
            return row[0]
        number = self._db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM case_state").fetchone()[0]
        try:
            self._db.execute(
                "INSERT INTO case_state (number, id, key, path, mask, study, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, case.id or f"case-{number:06d}", case.key, case.path, case.mask, case.study, QUEUED),
            )
        except sqlite3.IntegrityError:
            raise InputError(
                "cohort-id", f"The id {case.id} is that of another case of this cohort; name each id once."
            ) from None
        return number

    def _fingerprint(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._db.execute(
                "UPDATE case_state SET fingerprint = ? WHERE number = ?", (self.case(number).fingerprint, number)
            )

    def case(self, number: int) -> FoundCase:
        """A case by its number."""
        return _found_case(self._rows, number)

    # The run.

    def begin_run(self, run: str, adopted: Callable[[str, str], dict[str, Any] | None]) -> int:
        """What was running when the last run ended is queued again, or adopted where its folder became whole.

        ``adopted`` gives the record of a case folder that became whole in a run, or None; ``run`` tells the new run
        from others. Returns how many cases were adopted.
        """
        last = self.meta("run")
        running = self._rows("SELECT number, id FROM case_state WHERE state = ?", RUNNING)
        records = [(number, adopted(case_id, last)) for number, case_id in running]
        whole = [(number, record) for number, record in records if record is not None]
        if whole:
            self.finish([(number, Outcome(DONE, record, seconds=record["seconds"])) for number, record in whole])
        self._db.execute("UPDATE case_state SET state = ? WHERE state = ?", (QUEUED, RUNNING))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('run', ?)", (run,))
        return len(whole)

    def requeue(self, condition: str, *values: object) -> int:
        """Queue cases again that meet an SQL condition; returns how many."""
        changed = self._db.execute(
            f"UPDATE case_state SET state = '{QUEUED}', attempts = 0, code = '', reason = '', log = '' "  # noqa: S608
            f"WHERE state IN ('{DONE}', '{REJECTED}', '{FAILED}') AND ({condition})",
            values,
        )
        return changed.rowcount

    def requeue_changed(self, settings: dict[str, str]) -> int:
        """Queue done cases again that ``changed`` counts; returns how many."""
        return self.requeue(
            f"state = '{DONE}' AND (scored_with != ? OR scored_input != fingerprint)",
            json.dumps(settings, sort_keys=True),
        )

    def queued(self) -> Iterator[Job]:
        """The queued cases by number, each once; they are read as they are asked for."""
        last = 0
        while True:
            rows = self._rows(
                "SELECT number, id, fingerprint, attempts FROM case_state WHERE state = ? AND number > ? "
                "ORDER BY number LIMIT ?",
                QUEUED,
                last,
                _BATCH,
            )
            if not rows:
                return
            for number, case_id, fingerprint, attempts in rows:
                yield Job(number, case_id, self.case(number), fingerprint, attempts)
            last = rows[-1][0]

    def start(self, jobs: Iterable[Job]) -> None:
        """Cases are handed to workers."""
        with self.transaction():
            self._db.executemany(
                "UPDATE case_state SET state = ?, attempts = ? WHERE number = ?",
                [(RUNNING, job.attempts, job.number) for job in jobs],
            )

    def finish(self, outcomes: list[tuple[int, Outcome]]) -> None:
        """Keep what became of cases, by their numbers: of all or of none."""
        with self.transaction():
            for table in ("scores", "warning", "lesion"):
                self._db.executemany(f"DELETE FROM {table} WHERE number = ?", [(number,) for number, _ in outcomes])  # noqa: S608
            for number, outcome in outcomes:
                self._keep(number, outcome)

    def _keep(self, number: int, outcome: Outcome) -> None:
        record = outcome.record or {}
        self._db.execute(
            "UPDATE case_state SET state = ?, code = ?, reason = ?, log = ?, seconds = ?, scored_with = ?, "
            "scored_input = ? WHERE number = ?",
            (
                outcome.state,
                outcome.code,
                outcome.reason,
                outcome.log,
                outcome.seconds,
                json.dumps(record.get("settings", {}), sort_keys=True),
                record.get("input", ""),
                number,
            ),
        )
        if outcome.record is None:
            return
        row = record["scores"]
        self._insert("scores", [(number, *(row.get(column.name) for column in COLUMNS))])
        self._insert("warning", [(number, one["code"], one["message"]) for one in record["warnings"]])
        lesions = [tuple(one[column.name] for column in LESION_COLUMNS) for one in record["lesions"]]
        self._insert("lesion", [(number, *values) for values in lesions])

    def _insert(self, table: str, rows: list[tuple]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608

    def _rows(self, sql: str, *values: object) -> list[tuple]:
        return self._db.execute(sql, values).fetchall()

    # What there is.

    def counts(self) -> dict[str, int]:
        """Cases by state, every state named."""
        return dict.fromkeys(STATES, 0) | dict(self._rows("SELECT state, COUNT(*) FROM case_state GROUP BY state"))

    def categories(self) -> dict[str, int]:
        """Done cases by risk category."""
        return dict(self._rows("SELECT risk_category, COUNT(*) FROM cohort WHERE state = ? GROUP BY 1", DONE))

    def changed(self, settings: dict[str, str]) -> dict[str, int]:
        """How many done cases were scored with another program, weights, rules or options, or on other files.

        ``settings`` is the ``CohortSettings.identity`` of now; only what differs is among the keys.
        """
        found: dict[str, int] = {}
        for scored_with, same_input, count in self._rows(
            "SELECT scored_with, scored_input = fingerprint, COUNT(*) FROM case_state WHERE state = ? GROUP BY 1, 2",
            DONE,
        ):
            before = json.loads(scored_with)
            different = [name for name, value in settings.items() if before.get(name) != value]
            for name in [*different, *([] if same_input else ["files"])]:
                found[name] = found.get(name, 0) + count
        return found

    def ids(self) -> list[tuple[str, str, str]]:
        """Every id with where its CT is and, for a study of a server, its identifier. It may say who was scanned."""
        rows = self._rows(
            "SELECT id, COALESCE(path, (SELECT MIN(folder) FROM sources WHERE sources.number = case_state.number), "
            "''), COALESCE(study, '') FROM case_state ORDER BY number"
        )
        return [(case_id, place, study) for case_id, place, study in rows]

    def job(self, case_id: str) -> Job:
        """A case by its id. Raises InputError("cohort-id") when there is none."""
        rows = self._rows("SELECT number, id, fingerprint, attempts FROM case_state WHERE id = ?", case_id)
        if not rows:
            raise _no_case(case_id)
        number, known_id, fingerprint, attempts = rows[0]
        return Job(number, known_id, self.case(number), fingerprint, attempts)


def _found_case(rows: Callable[..., list[tuple]], number: int) -> FoundCase:
    """A case by its number; ``rows(sql, *values)`` asks the state file."""
    key, path, case_id, mask, study = rows(
        "SELECT key, path, id, mask, study FROM case_state WHERE number = ?", number
    )[0]
    files = rows("SELECT folder, names FROM sources WHERE number = ? ORDER BY folder", number)
    names = {folder: json.loads(zlib.decompress(packed)) for folder, packed in files}
    return FoundCase(key, path, names, case_id, mask, study)


def read_found_case(folder: Path, case_id: str) -> FoundCase:
    """A cohort's case by its id, read beside whoever runs the cohort.

    Raises InputError: "cohort-missing", and "cohort-id" when there is none.
    """
    numbers = select(folder, "SELECT number FROM case_state WHERE id = ?", (case_id,))[1]
    if not numbers:
        raise _no_case(case_id)
    return _found_case(lambda sql, *values: select(folder, sql, values)[1], numbers[0][0])


def _no_case(case_id: str) -> InputError:
    return InputError("cohort-id", f"The cohort has no case {case_id!r}; `cohort query` lists them.")


def require_cohort(folder: Path) -> Path:
    """The state file of a cohort that is there. Raises InputError("cohort-missing")."""
    path = Path(folder) / DATABASE
    if not path.is_file():
        raise InputError("cohort-missing", f"{folder} is no cohort (it has no {DATABASE}); name one, or run one first.")
    return path


def select(folder: Path, sql: str, values: tuple = ()) -> tuple[list[str], list[tuple]]:
    """Column names and rows of one SQL query on a cohort, which cannot change anything.

    Raises InputError: "cohort-missing", "cohort-state" for a state file that is none, and "cohort-query" for what
    SQLite does not understand or allow.
    """
    path = require_cohort(folder)
    try:
        database = sqlite3.connect(_read_only_address(path), uri=True, timeout=30)
        try:
            database.execute("PRAGMA query_only = ON")
            cursor = database.execute(sql, values)
            return [column[0] for column in cursor.description or ()], cursor.fetchall()
        finally:
            database.close()
    except (sqlite3.Error, sqlite3.Warning) as error:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise InputError(
                "cohort-state",
                f"{path} is damaged ({error}); restore it from a copy, or run the cohort into another folder.",
            ) from None
        raise InputError("cohort-query", f"The query cannot be answered ({error}): see docs/cohorts.md.") from None


def _read_only_address(path: Path) -> str:
    """The address of a state file to read. Where nothing can be written, SQLite cannot make the WAL's shared memory."""
    unchanging = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if unchanging else ''}"
