"""?"""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coronary_calcium.datasets.case_format import CaseSummary, TrainingCase, load_case, read_summary
from coronary_calcium.errors import InputError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseOptions:
    """Which cases take part, and how often.

    Attributes
    ----------
    kinds : the ``kind`` facts that take part; all cases when empty. A case that does not say its kind is then left out.
    shares : beginnings of the ``source`` fact and the share of samples from such cases; all other cases have the rest.

    """

    kinds: tuple[str, ...] = ()
    shares: dict[str, float] = field(default_factory=dict)


class CaseFolder:
    """The cases of a folder, which may grow while training runs.

    Files that appear are found by ``rescan``. At most ``in_memory`` cases are kept, the oldest being dropped first.
    ``names`` are the files that take part. Raises InputError("no-training-data") for what is no folder.
    """

    def __init__(self, folder: Path, in_memory: int = 200, options: CaseOptions | None = None) -> None:
        self.folder = Path(folder)
        self._in_memory = in_memory
        self._options = options or CaseOptions()
        self._loaded: dict[str, TrainingCase] = {}
        self._lock = threading.Lock()
        self._summaries: dict[str, CaseSummary] = {}
        self._rejected: set[str] = set()
        self._groups: list[tuple[float, list[str]]] = []
        self.names: list[str] = []
        if not self.folder.is_dir():
            raise InputError("no-training-data", f"{folder} is not a folder; name the folder of the case files.")
        self.rescan()

    def rescan(self) -> int:
        """Look for case files again; returns how many take part. A file that is not a case is logged and left out."""
        for name in sorted({path.name for path in self.folder.glob("*.npz")} - self._summaries.keys() - self._rejected):
            try:
                self._summaries[name] = read_summary(self.folder / name)
            except InputError as rejection:
                _LOG.warning("%s", rejection)
                self._rejected.add(name)
        kinds = self._options.kinds
        self.names = sorted(
            name
            for name, summary in self._summaries.items()
            if (not kinds or summary.facts.get("kind") in kinds) and (self.folder / name).exists()
        )
        self._groups = self._grouped()
        return len(self.names)

    def _grouped(self) -> list[tuple[float, list[str]]]:
        """The names with the share that they have together, for each source that has a share and for the others."""
        left, groups = list(self.names), []
        for source, share in self._options.shares.items():
            chosen = [name for name in left if str(self._summaries[name].facts.get("source", "")).startswith(source)]
            left = [name for name in left if name not in set(chosen)]
            groups.append((share, chosen))
        groups.append((max(0.0, 1.0 - sum(self._options.shares.values())), left))
        return [(share, names) for share, names in groups if names and share > 0]

    def absent_sources(self) -> list[str]:
        """The sources that have a share and no case."""
        return [
            source for source in self._options.shares if not any(found.startswith(source) for found in self.sources())
        ]

    def require(self) -> None:
        """Raise InputError("no-training-data") when no file of the folder takes part."""
        if not self._summaries.keys() - self._rejected:
            raise InputError(
                "no-training-data",
                f"{self.folder} holds no case (*.npz) that can be read; make them with coronary-calcium prepare.",
            )
        if not self._groups:
            raise InputError(
                "no-training-data",
                f"None of the {len(self._summaries)} cases in {self.folder} is of the kind or source that the recipe "
                "asks for; change its [cases] or name another folder.",
            )

    def case(self, name: str) -> TrainingCase:
        """A case by its file name, from memory if it is there; several threads may ask."""
        with self._lock:
            known = self._loaded.get(name)
        if known is not None:
            return known
        case = load_case(self.folder / name)
        with self._lock:
            while len(self._loaded) >= self._in_memory:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[name] = case
        return case

    def draw(self, generator: np.random.Generator) -> TrainingCase:
        """A case at random. A file that turns out to be no case is logged and replaced by another draw.

        What is drawn depends on the generator and on ``names`` alone, not on what was drawn before: a run that is
        resumed draws as one that was not interrupted.
        """
        while True:
            self.require()
            place = generator.random() * sum(share for share, _ in self._groups)
            names = self._groups[-1][1]
            for share, group in self._groups:
                if place < share:
                    names = group
                    break
                place -= share
            name = names[generator.integers(len(names))]
            if name not in self._rejected:
                try:
                    return self.case(name)
                except InputError as rejection:
                    _LOG.warning("%s", rejection)
                    self._rejected.add(name)

    def slices(self) -> list[tuple[str, int]]:
        """Every slice of every case, as the file's name and the slice's index."""
        return [(name, k) for name in self.names for k in range(self._summaries[name].slices)]

    def sources(self) -> list[str]:
        """What the cases that take part say of their origin (``source`` in their facts), sorted."""
        return sorted({str(self._summaries[name].facts.get("source", "unknown")) for name in self.names})
