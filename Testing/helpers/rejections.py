"""How tests of the reader ask why an input was rejected."""

import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct


def rejected(path, **options):
    """The rejection's code; its message must be one sentence with cause and remedy, and name no file or person."""
    with pytest.raises(InputError) as caught:
        open_ct(path, **options)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and 40 < len(message) < 300
    assert "Person" not in message and "4711" not in message
    return caught.value.code


def rejection(call):
    """The rejection that a call ends with."""
    with pytest.raises(InputError) as caught:
        call()
    return caught.value
