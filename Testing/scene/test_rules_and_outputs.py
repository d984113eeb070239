"""The rules that a review counts by are those of the command line, whatever the scan."""

import pytest

pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.errors import InputError
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.volume import Acquisition
from CoronaryCalciumScoringLib.rules_and_outputs import rules_for

ADAPTED = ScoringOptions(kvp_adapted=True)


@pytest.mark.parametrize("kvp", [100.0, 120.0])
def test_behind_a_tin_filter_thresholds_are_not_adapted(kvp):
    assert rules_for("literature", ADAPTED, Acquisition(kvp=kvp)).kvp == kvp
    with pytest.raises(InputError) as rejected:
        rules_for("literature", ADAPTED, Acquisition(kvp=kvp, tin_filter=True))
    assert rejected.value.code == "kvp-tin-filter"
