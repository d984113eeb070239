"""What turns intensities into calcium mass: the calibration factor, from the best source there is."""

from dataclasses import dataclass

from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.tube_voltage import is_covered, thresholds_at
from coronary_calcium.volume import Acquisition

# 130 HU at 120 kVp are about 100 mg/cm3 of hydroxyapatite, the convention behind the ideal scores of the QRM insert.
# At other voltages, the published thresholds (tube_voltage.py) are what the same calcium has there.
TYPICAL_MG_PER_CM3 = 100.0
REFERENCE_KVP = 120.0
# Factors that a scanner can have, in mg/cm3/HU. Scanners state about 0.8 at 120 kVp; at 70 kVp calcium is 1.6 times as
# bright (tube_voltage.py). What lies outside is in other units or no factor.
PLAUSIBLE_MG_PER_CM3_HU = (0.3, 1.2)


@dataclass(frozen=True)
class MassCalibration:
    """The mass of hydroxyapatite that an intensity stands for.

    Attributes
    ----------
    mg_per_cm3_hu : the factor in mg/cm3/HU, as DICOM (0018,9351) and (0018,9352) state it.
    calibrated : whether it holds for this scanner; False for the typical factor.
    source : where it comes from, a phrase for the reader.
    """

    mg_per_cm3_hu: float
    calibrated: bool
    source: str

    @property
    def mg_per_mm3_hu(self) -> float:
        """The factor in mg/mm3/HU."""
        return self.mg_per_cm3_hu / 1000.0

    def mass_of(self, lesion: Lesion) -> float:
        """Mass in mg of a lesion's voxels, those that count for the Agatston score."""
        return lesion.mean_hu * lesion.volume_mm3 * self.mg_per_mm3_hu


def is_plausible(factor: float | None) -> bool:
    """Whether a number can be a calibration factor in mg/cm3/HU."""
    lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
    return factor is not None and lowest <= factor <= highest


def calibration_of(acquisition: Acquisition, given: float | None = None) -> MassCalibration:
    """The calibration of a scan: the factor that was given, the header's, or the typical one.

    Of the header's, the patient's factor (0018,9351) comes before the device's (0018,9352). The typical one is that of
    the scan's tube voltage where thresholds are published for it, else that of 120 kVp.
    """
    if given is not None:
        return MassCalibration(given, True, "factor given by the user")
    stated = (
        (acquisition.mass_factor_patient, "DICOM (0018,9351), factor of the patient"),
        (acquisition.mass_factor_device, "DICOM (0018,9352), factor of the device for a medium-sized patient"),
    )
    for factor, source in stated:
        if factor is not None and is_plausible(factor):
            return MassCalibration(factor, True, source)
    kvp = acquisition.kvp if acquisition.kvp is not None and is_covered(acquisition.kvp) else REFERENCE_KVP
    hu = thresholds_at(kvp)[0]
    return MassCalibration(
        TYPICAL_MG_PER_CM3 / hu,
        False,
        f"typical factor at {kvp:g} kVp: {hu:.0f} HU for {TYPICAL_MG_PER_CM3:.0f} mg/cm3",
    )


def calibration_from_rods(rod_hu: float, water_hu: float, rod_mg_per_cm3: float = 200.0) -> MassCalibration:
    """The calibration from a rod of known density and water in the same scan.

    The factor is density / (HU of the rod - HU of the water): McCollough et al., Radiology 2007;243:527. Raises
    ValueError when the rod is not brighter than the water.
    """
    if not rod_hu > water_hu:
        raise ValueError(f"the rod ({rod_hu:g} HU) must be brighter than the water ({water_hu:g} HU)")
    return MassCalibration(
        rod_mg_per_cm3 / (rod_hu - water_hu),
        True,
        f"rod of {rod_mg_per_cm3:g} mg/cm3 ({rod_hu:.1f} HU) and water ({water_hu:.1f} HU) in the scan",
    )
