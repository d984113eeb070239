"""Random damage to a DICOM series: one sentence, or a score of what is whole with a warning; never another error."""

import random

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct
from dicom_factory import chest_hu, write_enhanced, write_series

ROUNDS = 16


def damaged(content, kind, chance):
    """The bytes with one damage; most of it in the header, where it is not only another intensity."""
    data = bytearray(content)
    end = len(data) if chance.random() < 0.1 else min(len(data), 1100)
    place = chance.randrange(end)
    if kind == "bit":
        data[place] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        data[place : place + 4] = chance.randbytes(len(data[place : place + 4]))
    elif kind == "insert":
        data[place:place] = chance.randbytes(chance.randrange(1, 9))
    elif kind == "cut":
        del data[place : place + chance.randrange(1, 9)]
    else:
        del data[place:]
    return bytes(data)


def opened_or_rejected(folder):
    """The CT, or None when one sentence rejects it; anything else is an error of the program."""
    try:
        return open_ct(folder).volume
    except InputError as rejection:
        message = str(rejection)
        assert message.endswith(".") and "\n" not in message and "Person" not in message
        return None


@pytest.mark.parametrize("kind", ["bit", "bytes", "insert", "cut", "truncate"])
@pytest.mark.parametrize("which", ["first", "middle", "last", "all", "multi-frame"])
def test_damage_is_rejected_or_warned_of(tmp_path, kind, which):
    hu = chest_hu((22, 32, 32))
    spacing = (3.0, 4.0, 4.0)
    if which == "multi-frame":
        paths = [write_enhanced(tmp_path / "multi.dcm", hu, spacing=spacing)]
    else:
        paths = write_series(tmp_path, hu, spacing=spacing)
    chosen = {"first": paths[:1], "middle": paths[10:11], "last": paths[-1:]}.get(which, paths)
    kept = {path: path.read_bytes() for path in chosen}
    for number in range(ROUNDS):
        chance = random.Random(f"{kind} {which} {number}")
        for path, content in kept.items():
            path.write_bytes(damaged(content, kind, chance))
        volume = opened_or_rejected(tmp_path)
        if volume is not None and volume.shape != hu.shape:
            codes = {warning.code for warning in volume.warnings}
            assert codes & {"unreadable-files", "images-left-out", "series-chosen"}, (number, volume.shape)
            assert volume.hu.shape[0] >= 8 and np.isfinite(volume.hu).all()
