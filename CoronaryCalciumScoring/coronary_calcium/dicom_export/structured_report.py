"""The scores as a DICOM Structured Report: TID 1500 "Measurement Report" of PS3.16, every score coded.

Each score is "Calcium score" (DCM 112058) with the method Agatston (DCM 112055), volume (DCM 112056) or, when it is
calibrated, mass (DCM 112057), and the artery as its finding site; the total Agatston score alone is named "Coronary
artery calcium score" (SCT 450360000). These codes and those of ``terminology`` and ``arteries`` are in pydicom's
dictionaries, which are made from PS3.16; a test compares them.
"""

from typing import TYPE_CHECKING

from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

import coronary_calcium
from coronary_calcium.arteries import ARTERIES, BY_NAME, CALCIFICATION, NAMED_ARTERIES, UNASSIGNED, Artery, region
from coronary_calcium.dicom_export.equipment import (
    MANUFACTURER,
    NETWORK,
    NO_SERIAL_NUMBER,
    OBSERVER_UID,
    PRODUCT,
    REPORT_SERIES,
    concept,
    new_object,
    software_versions,
    tracking,
    weights_checksum,
)
from coronary_calcium.dicom_export.sources import Sources
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.scoring.agatston import Tally
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.reader_vs_ai import ReaderVsAI

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

# A unit of the Unified Code for Units of Measure, which pydicom's dictionary does not list.
MILLIGRAM = Code("mg", "UCUM", "milligram")
_Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations


def structured_report(result: "CaseResult", sources: Sources, segmentation: Dataset | None = None) -> ComprehensiveSR:
    """The scores of the total, of each artery and of each lesion.

    With ``segmentation`` (``segmentation.segmentation`` of the same result) each artery's scores refer to its segment;
    each lesion refers to the source image in which it scores most.
    """
    observer = DeviceObserverIdentifyingAttributes(
        uid=OBSERVER_UID,
        name=PRODUCT,
        manufacturer_name=MANUFACTURER,
        model_name=software_versions(),
        serial_number=NO_SERIAL_NUMBER,
    )
    context = ObservationContext(
        ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=observer)
    )
    # The procedure is what the header proves: a scan synchronized with the heart, or a CT.
    gated = result.volume.acquisition.cardiac_gating is not None
    report = MeasurementReport(
        observation_context=context,
        procedure_reported=codes.SCT.CardiacCTForCalciumScoring if gated else codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=_groups(result, sources, segmentation),
        referenced_images=_shown(result, sources),
    )
    for text in statements(result):
        report[0].ContentSequence.append(
            TextContentItem(codes.DCM.Comment, text, relationship_type=RelationshipTypeValues.CONTAINS)
        )
    return ComprehensiveSR(
        evidence=[*sources.images, *([] if segmentation is None else [segmentation])],
        content=report[0],
        **new_object(REPORT_SERIES),
        series_description="Coronary calcium scores (research use only)",
        is_complete=True,
        is_verified=False,
    )


def _shown(result: "CaseResult", sources: Sources) -> list[Dataset]:
    """The images for the report's library: those that a lesion refers to.

    The evidence lists the whole series; describing each of 400 images in the library too would take a minute. highdicom
    cannot describe a multi-frame CT there.
    """
    if sources.frames is not None:
        return []
    return [sources.images[k] for k in sorted({lesion.main_slice for lesion in result.score.lesions})]


def statements(result: "CaseResult") -> list[str]:
    """What a reader of the scores must know, in sentences that the report carries as comments."""
    checksum, interpretation = weights_checksum(result), result.interpretation
    calibration = result.quantities.calibration
    marked = result.how_marked
    if checksum is not None:
        marked = f"The calcium was marked by the network; SHA-256 of its weights {checksum}. {marked}"
    return [
        RESEARCH_USE,
        f"Made by {software_versions()}. {marked}",
        f"Risk category by the total Agatston score: {interpretation.category} (scheme {interpretation.scheme.name}); "
        f"CAC-DRS {interpretation.cac_drs}.",
        f"Rules: {result.rules.title}; {'; '.join(result.rules.sources)}.",
        f"Mass from: {calibration.source}."
        if calibration.calibrated
        else "There is no mass in this report, because no calibration of this scanner is known.",
        *([] if result.difference is None else [_compared_with_ai(result.difference)]),
        *(f"Warning: {warning.message}" for warning in result.warnings),
    ]


def _compared_with_ai(difference: ReaderVsAI) -> str:
    predicted, change = difference.of_total
    return (
        f"Compared with the network's prediction (Agatston {predicted:.1f} in total, here {change:+.1f}): "
        f"{difference.summary}"
    )


def _groups(result: "CaseResult", sources: Sources, segmentation: Dataset | None) -> list[_Group]:
    """One measurement group for the total, one per artery, one per lesion."""
    score, quantities = result.score, result.quantities
    volume, mass = quantities.volume_mm3, quantities.mass_mg
    calibrated = quantities.calibration.calibrated
    total = _group(
        "Coronary calcium, total",
        UNASSIGNED,
        score.total,
        _scores(
            score.total.agatston,
            volume.total,
            mass.total if calibrated else None,
            codes.SCT.CoronaryArteryCalciumScore,
        ),
        result,
    )
    segments = {} if segmentation is None else {item.SegmentLabel: item for item in segmentation.SegmentSequence}
    arteries: list[_Group] = []
    for artery in ARTERIES:
        tally = score.by_artery[artery.name]
        mass_mg = mass.by_artery[artery.name] if calibrated else None
        scores = _scores(tally.agatston, volume.by_artery[artery.name], mass_mg)
        if artery.name in segments and segmentation is not None:
            arteries.append(_segment_group(artery, tally, scores, result, segmentation, segments[artery.name]))
        elif artery in NAMED_ARTERIES or tally.lesions:
            arteries.append(_group(tracking(artery), artery, tally, scores, result))
    return [total, *arteries, *(_lesion_group(lesion, result, sources) for lesion in score.lesions)]


def _scores(
    agatston: float, volume_mm3: float, mass_mg: float | None, name: Code = codes.DCM.CalciumScore
) -> list[Measurement]:
    """The Agatston score under ``name``, the volume, and the mass where there is one."""
    score, unit = codes.DCM.CalciumScore, codes.UCUM
    found = [
        Measurement(name, float(agatston), unit.NoUnits, method=codes.DCM.AgatstonScoringMethod),
        Measurement(score, float(volume_mm3), unit.CubicMillimeter, method=codes.DCM.VolumeScoringMethod),
    ]
    if mass_mg is not None:
        found.append(Measurement(score, float(mass_mg), MILLIGRAM, method=codes.DCM.MassScoringMethod))
    return found


def _facts(artery: Artery, tally: Tally | Lesion, result: "CaseResult") -> dict:
    """What every group says of its finding: calcification if anything counts, where, and by which algorithm."""
    checksum = weights_checksum(result)
    algorithm = AlgorithmIdentification(
        name=NETWORK if checksum else PRODUCT,
        version=coronary_calcium.__version__,
        parameters=[f"rules: {result.rules.title}", *([f"weights SHA-256: {checksum}"] if checksum else [])],
    )
    return {
        "finding_type": concept(CALCIFICATION) if tally.agatston else None,
        "finding_sites": [FindingSite(concept(region(artery)))],
        "algorithm_id": algorithm,
    }


def _group(
    identifier: str,
    artery: Artery,
    tally: Tally | Lesion,
    measurements: list[Measurement],
    result: "CaseResult",
    images: list[SourceImageForMeasurementGroup] | None = None,
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(generate_uid(), identifier),
        measurements=measurements,
        source_images=images,
        **_facts(artery, tally, result),
    )


def _segment_group(
    artery: Artery,
    tally: Tally,
    scores: list[Measurement],
    result: "CaseResult",
    segmentation: Dataset,
    segment: Dataset,
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """An artery's scores with the segment that they were counted in."""
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(segment.TrackingUID, segment.TrackingID),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=segment.SegmentNumber,
            source_series=SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID),
        ),
        measurements=scores,
        **_facts(artery, tally, result),
    )


def _lesion_group(lesion: Lesion, result: "CaseResult", sources: Sources) -> MeasurementsAndQualitativeEvaluations:
    """A lesion's scores and its highest intensity, with the image in which it scores most."""
    calibration = result.quantities.calibration
    mass_mg = calibration.mass_of(lesion) if calibration.calibrated else None
    sop_class, instance, frame = sources.slice_reference(lesion.main_slice)
    maximum = Measurement(
        codes.DCM.AttenuationCoefficient,
        float(lesion.maximum_hu),
        codes.UCUM.HounsfieldUnit,
        derivation=codes.SCT.Maximum,
    )
    return _group(
        f"Lesion {lesion.id}",
        BY_NAME[lesion.artery],
        lesion,
        [*_scores(lesion.agatston, lesion.volume_mm3, mass_mg), maximum],
        result,
        [SourceImageForMeasurementGroup(sop_class, instance, None if frame is None else [frame])],
    )
