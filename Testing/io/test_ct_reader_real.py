"""Five real series come in with the geometry that is known of them."""

import numpy as np
import pytest
from coronary_calcium.io import open_ct
from shared_data import real_series


@pytest.mark.parametrize(
    ("name", "shape", "spacing", "warnings"),
    [
        ("qrm-phantom", (47, 512, 512), (3.0, 0.488, 0.488), []),
        ("chest-A0001-soft", (64, 512, 512), (5.0, 0.841797, 0.841797), ["thick-slices"]),
        ("chest-A0001-sharp", (37, 512, 512), (5.0, 0.841797, 0.841797), ["sharp-kernel", "thick-slices"]),
        ("chest-A0002-B40f", (30, 512, 512), (8.0, 0.646484, 0.646484), ["thick-slices"]),
        ("chest-TCGA-DE-A4MA", (93, 512, 512), (2.5, 0.976563, 0.976563), ["thick-slices", "overlapping-slices"]),
    ],
)
def test_a_real_series_has_its_known_geometry(name, shape, spacing, warnings):
    volume = open_ct(real_series(name)).volume
    assert volume.shape == shape and volume.spacing == spacing
    assert [warning.code for warning in volume.warnings] == warnings
    assert volume.acquisition.kvp == 120
    # The couch lies below the patient: the back of the field of view is denser than the front.
    assert volume.hu[:, -150:].mean() > volume.hu[:, :100].mean()


def test_padding_outside_the_phantoms_field_of_view_is_no_bone():
    volume = open_ct(real_series("qrm-phantom")).volume
    assert (volume.hu[:, :5, :5] <= -1000).all()


def test_both_kernels_of_one_scan_show_the_same_patient():
    soft, sharp = (open_ct(real_series(name)).volume for name in ("chest-A0001-soft", "chest-A0001-sharp"))
    offset = round((sharp.origin[2] - soft.origin[2]) / soft.spacing[0])
    difference = soft.hu[offset : offset + 37, ::4, ::4].astype(float) - sharp.hu[:, ::4, ::4]
    assert abs(np.median(difference)) < 5


def test_a_named_spot_has_its_known_intensity():
    # Read by eye in the published description of the data: the calcified left main line, peak 372 HU.
    volume = open_ct(real_series("chest-A0001-sharp")).volume
    assert volume.hu[25, 246:255, 304:316].max() == 372
    np.testing.assert_allclose(volume.position((25, 250, 310)), (33, 117, -285), atol=2)
