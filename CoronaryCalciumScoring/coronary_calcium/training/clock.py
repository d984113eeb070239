"""How long a run has trained."""

import time
from dataclasses import dataclass

_SECONDS = 60.0


@dataclass
class Clock:
    """Training time in minutes, without the interruptions between a checkpoint and its resumption."""

    before: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def minutes(self) -> float:
        """Minutes until now."""
        return self.before + (time.monotonic() - self._started) / _SECONDS
