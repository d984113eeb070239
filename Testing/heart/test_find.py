"""The search for the heart on a chest whose geometry is known."""

from dataclasses import replace

import numpy as np
import pytest
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.heart import find
from coronary_calcium.heart.contrast import CONTRAST_BLOOD_HU, blood_hu, contrast_warning, require_native_heart
from coronary_calcium.heart.field import FIELD_SIZE_MM
from coronary_calcium.heart.find import find_heart
from coronary_calcium.volume import CTVolume
from thorax_model import BLOOD_HU, SPINE_FRONT_Y, STERNUM_BACK_Y, chest, index_of
from window_cover import covered


def codes(field):
    return {warning.code for warning in field.warnings}


def holds(field, volume, heart):
    return bool((covered(field, volume) & field.region)[heart].all())


@pytest.fixture(scope="module")
def found():
    volume, heart = chest()
    return volume, heart, find_heart(volume)


def test_the_whole_heart_is_in_one_window_and_in_the_region(found):
    volume, heart, field = found
    assert field.found
    assert not field.warnings
    assert len(field.windows) == 1
    assert field.size_mm == FIELD_SIZE_MM
    assert holds(field, volume, heart)


def test_the_region_has_a_margin_around_the_heart_into_the_lung(found):
    volume, _, field = found
    for x in (-69, 69):
        assert field.region[index_of(volume, x, 0, 0)]


def test_the_spine_and_what_lies_behind_it_are_out_of_the_region(found):
    volume, _, field = found
    for y in (SPINE_FRONT_Y + 5, SPINE_FRONT_Y + 18, SPINE_FRONT_Y + 40):
        assert not field.region[:, index_of(volume, 0, y, 0)[1], index_of(volume, -10, y, 0)[2]].any()


def test_the_sternum_is_out_of_the_region(found):
    volume, _, field = found
    k, j, i = index_of(volume, -10, STERNUM_BACK_Y - 6, 10)
    assert volume.hu[k, j, i] == 300
    assert not field.region[k - 8 : k + 8, j, i].any()


def test_a_nodule_deep_in_the_lung_is_out_of_the_region():
    volume, heart = chest()
    k, j, i = index_of(volume, 120, 20, 10)
    volume.hu[k - 1 : k + 2, j - 3 : j + 4, i - 3 : i + 4] = 400
    field = find_heart(volume)
    assert not field.region[k, j, i]
    assert holds(field, volume, heart)


def test_the_region_has_the_volume_s_shape_where_blocks_leave_a_rest():
    volume, heart = chest()
    cut = CTVolume(volume.hu[:-1, :-3, :-2], volume.spacing, volume.origin)
    field = find_heart(cut)
    assert field.region.shape == cut.shape
    assert field.region.dtype == bool
    assert holds(field, cut, heart[:-1, :-3, :-2])


@pytest.mark.parametrize("thickness", [0.5, 1.0, 3.0, 8.0])
def test_the_heart_is_found_at_every_slice_thickness(thickness):
    volume, heart = chest(spacing=(thickness, 2.5, 2.5), z=(-130, 110))
    field = find_heart(volume)
    assert field.found
    assert len(field.windows) == 1
    assert holds(field, volume, heart)


@pytest.mark.parametrize("width", [150, 180, 220, 250])
@pytest.mark.parametrize("padding", [None, -1024, -2048])
def test_the_heart_is_found_in_a_narrow_field_of_view(width, padding):
    half = width / 2
    volume, heart = chest(spacing=(3.0, 1.0, 1.0), x=(-half, half), y=(-half, half), z=(-70, 75))
    if padding is not None:
        j, i = np.ogrid[: volume.shape[1], : volume.shape[2]]
        outside = (j + 0.5 - half) ** 2 + (i + 0.5 - half) ** 2 > half**2
        volume.hu[:, outside] = padding
        heart &= ~outside
    field = find_heart(volume)
    assert field.found
    assert holds(field, volume, heart)


@pytest.mark.parametrize("shift", [(0, 0), (40, 30), (-40, -30)])
def test_the_heart_is_found_when_the_patient_lies_off_center(shift):
    x, y = shift
    volume, heart = chest(x=(-210 + x, 210 + x), y=(-150 + y, 170 + y))
    field = find_heart(volume)
    assert len(field.windows) == 1
    assert holds(field, volume, heart)


def test_the_heart_is_found_with_head_and_pelvis_attached():
    volume, heart = chest()
    plane = np.full(volume.shape[1:], -1000, np.int16)
    j, i = np.ogrid[: plane.shape[0], : plane.shape[1]]
    body = plane.copy()
    body[((j - 82) / 57) ** 2 + ((i - 105) / 90) ** 2 <= 1] = 20
    body[(j - 105) ** 2 + (i - 105) ** 2 <= 81] = 250
    body[((j - 60) / 14) ** 2 + ((i - 85) / 20) ** 2 <= 1] = -990
    head = plane.copy()
    head[(j - 82) ** 2 + (i - 105) ** 2 <= 40**2] = 900
    head[(j - 82) ** 2 + (i - 105) ** 2 <= 36**2] = 35
    below, above = np.repeat(body[None], 70, axis=0), np.repeat(head[None], 40, axis=0)
    tall = CTVolume(np.concatenate([below, volume.hu, above]), volume.spacing, volume.origin)
    heart = np.pad(heart, ((70, 40), (0, 0), (0, 0)))
    field = find_heart(tall)
    assert field.found
    assert holds(field, tall, heart)
    (window,) = field.windows
    assert (window.k1 - window.k0) * volume.spacing[0] < 290


def test_noise_of_a_sharp_kernel_does_not_matter():
    volume, heart = chest(spacing=(5.0, 1.0, 1.0))
    noise = np.random.default_rng(3).normal(0, 100, volume.shape)
    field = find_heart(CTVolume((volume.hu + noise).clip(-1024, 3071).astype(np.int16), volume.spacing, volume.origin))
    assert field.found
    assert holds(field, volume, heart)


def test_one_white_lung_still_leaves_the_heart_in_the_field():
    volume, heart = chest()
    side = volume.hu[:, :, volume.shape[2] // 2 :]
    side[side == -850] = 15
    field = find_heart(volume)
    assert field.found
    assert holds(field, volume, heart)


@pytest.mark.parametrize(("box", "place"), [({"z": (-10, 150)}, "bottom"), ({"z": (-160, -5)}, "top")])
def test_a_heart_that_is_cut_by_the_first_or_last_slice_is_warned_of(box, place):
    volume, heart = chest(**box)
    field = find_heart(volume)
    assert codes(field) == {"heart-cut"}
    assert place in field.warnings[0].message
    assert holds(field, volume, heart)


@pytest.mark.parametrize(("x", "side"), [((-110, 30), "left"), ((-30, 110), "right")])
def test_a_heart_that_is_cut_by_the_image_s_side_is_warned_of(x, side):
    volume, heart = chest(spacing=(3.0, 1.0, 1.0), x=x, y=(-80, 100), z=(-90, 90))
    field = find_heart(volume)
    assert codes(field) == {"heart-cut"}
    assert side in field.warnings[0].message
    assert covered(field, volume)[heart].all()


def test_without_lungs_the_windows_cover_the_whole_body_and_a_warning_says_so():
    hu = np.full((30, 160, 200), -1000, np.int16)
    j, i = np.ogrid[:160, :200]
    hu[:, ((j - 80) / 60) ** 2 + ((i - 100) / 90) ** 2 <= 1] = 30
    volume = CTVolume(hu, (5.0, 2.0, 2.0), (0, 0, 0))
    field = find_heart(volume)
    assert not field.found
    assert codes(field) == {"heart-not-found"}
    assert field.region[hu == 30].all()
    assert covered(field, volume)[hu == 30].all()
    assert len(field.windows) > 1


def test_an_image_of_air_only_is_covered_whole():
    volume = CTVolume(np.full((12, 64, 64), -1000, np.int16), (3.0, 3.0, 3.0), (0, 0, 0))
    field = find_heart(volume)
    assert not field.found
    assert field.region.all()
    assert covered(field, volume).all()


def test_one_slice_does_not_break_the_search():
    volume, _ = chest(z=(0, 5))
    field = find_heart(volume)
    assert field.region.shape == volume.shape
    assert field.warnings


def test_blood_without_contrast_medium_is_measured_and_gives_no_warning(found):
    volume, _, field = found
    assert blood_hu(volume, field) == pytest.approx(BLOOD_HU, abs=2)
    assert contrast_warning(volume, field) == ()


def test_contrast_medium_is_warned_of_and_does_not_hide_the_heart():
    volume, heart = chest(blood=320)
    field = find_heart(volume)
    assert field.found
    assert holds(field, volume, heart)
    (warning,) = contrast_warning(volume, field)
    assert warning.code == "contrast-suspected"
    assert "320" in warning.message


def test_the_network_does_not_run_on_contrast_medium_unless_it_is_allowed(found):
    require_native_heart(found[0], found[2])
    volume, _ = chest(blood=CONTRAST_BLOOD_HU + 15)
    field = find_heart(volume)
    with pytest.raises(InputError, match=r"as with contrast medium.*choose a scan without it") as rejection:
        require_native_heart(volume, field, ["no-heart"])
    assert rejection.value.code == "contrast-suspected"
    require_native_heart(volume, field, ["contrast-suspected"])


def test_the_network_does_not_run_where_there_is_no_heart_unless_it_is_allowed():
    volume = CTVolume(np.full((12, 64, 64), 40, np.int16), (3.0, 3.0, 3.0), (0, 0, 0))
    field = find_heart(volume)
    with pytest.raises(InputError, match=r"no whole heart between two lungs.*choose a chest") as rejection:
        require_native_heart(volume, field, ["contrast-suspected"])
    assert rejection.value.code == "no-heart"
    require_native_heart(volume, field, ["no-heart"])


@pytest.mark.parametrize(("margin", "windows"), [(8.0, 1), (40.0, 1), (60.0, 4)])
def test_a_place_a_little_wider_than_the_window_gets_one_and_not_several(monkeypatch, found, margin, windows):
    monkeypatch.setattr(find, "MARGIN_MM", margin)
    assert len(find_heart(found[0]).windows) == windows


def test_blood_is_not_measured_when_no_heart_was_found():
    volume = CTVolume(np.full((12, 64, 64), 40, np.int16), (3.0, 3.0, 3.0), (0, 0, 0))
    field = find_heart(volume)
    assert blood_hu(volume, field) is None
    assert contrast_warning(volume, field) == ()


def test_progress_rises_to_one_and_its_cancellation_ends_the_search(found):
    volume, _, _ = found
    fractions = []
    find_heart(volume, lambda fraction, text: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0

    def cancel(fraction, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        find_heart(volume, cancel)


def test_a_calcified_artery_that_touches_the_sternum_is_not_taken_for_bone():
    volume, _ = chest()
    hu, artery = volume.hu.copy(), np.zeros(volume.shape, bool)
    # From the sternum's back to the heart, 5 mm thick, and 70 mm down along the heart's left border.
    k, j, i = index_of(volume, -8, -70, 40)
    artery[k, j : index_of(volume, 0, -32, 0)[1], i : i + 2] = True
    k0, j, i0 = index_of(volume, -8, -34, -30)
    artery[k, j : j + 2, i0 : index_of(volume, 42, 0, 0)[2]] = True
    artery[k0 : k + 1, j : j + 2, index_of(volume, 40, 0, 0)[2] + np.arange(2)] = True
    hu[artery] = 600
    field = find_heart(replace(volume, hu=hu))
    beyond = artery & (np.arange(volume.shape[1])[:, None] >= j)
    assert field.region[beyond].mean() > 0.9
