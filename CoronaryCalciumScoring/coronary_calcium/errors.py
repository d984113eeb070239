"""The two ways a run ends early: the input was rejected, or the user cancelled."""

NOT_ENOUGH_MEMORY = (
    "There is not enough memory for this input: close other programs, or use a computer with more memory."
)


class InputError(ValueError):
    """The input cannot be scored.

    The message is one sentence for the user that names the cause and the remedy. ``code`` is a short stable
    identifier (``"not-ct"``, ``"missing-slices"``, ...) for programs and tests.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def not_written(what: str, folder: object, error: OSError) -> InputError:
    """The rejection, code ``"output"``, of ``what``, such as "The results", that cannot be written."""
    return InputError(
        "output",
        f"{what} cannot be written to {folder} ({error.strerror or error}); "
        "name a folder on a disk with free space that you may write to.",
    )


class Cancelled(Exception):
    """The user cancelled; progress callbacks raise it, and nothing has been written."""
