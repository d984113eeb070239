"""Where the time went: wall-clock seconds by stage of the work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Collects the seconds of named stages in the order in which they ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time the block under ``name``; a repeated name adds up."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)
