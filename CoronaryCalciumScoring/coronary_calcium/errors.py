"""The two ways a run ends early: the input was refused, or the user cancelled."""

NOT_ENOUGH_MEMORY = (
    "There is not enough memory for this input: close other programs, or use a computer with more of it."
)


class InputRefused(ValueError):
    """The input cannot be scored.

    The message is one sentence for the user that names the cause and the remedy. ``code`` is a short stable
    identifier (``"not-ct"``, ``"missing-slices"``, ...) for programs and tests.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Cancelled(Exception):
    """The user cancelled; progress callbacks raise it, and nothing has been written."""
