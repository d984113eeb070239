"""Write a simulated patient as a DICOM CT series, with its truth beside it."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.arteries import BY_LABEL, NAMED_ARTERIES
from coronary_calcium.atomic_write import hidden_folder
from coronary_calcium.datasets.case_format import CT_FOLDER, LABELS_FILE, PLAQUES_FILE, TRUTH_FILE
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.risk import risk_category
from coronary_calcium.simulation.patient import SimulatedPatient
from coronary_calcium.simulation.truth import exact_agatston, plaques_of
from coronary_calcium.volume import CTVolume

# The offset that lets an unsigned 12-bit scanner store air; stored value = HU + 1024.
INTERCEPT = -1024


def write_patient(patient: SimulatedPatient, folder: Path, progress: Progress = no_progress) -> None:
    """Write ``dicom/`` (one file per slice), ``labels.nrrd``, ``plaques.csv`` and ``truth.json`` into ``folder``.

    ``truth.json`` holds the exact scores, as ``simulation.truth`` defines them, and those as imaged: of the true
    label map on the noisy, blurred scan. ``plaques.csv`` has a line for each coronary plaque, with its true volume
    and mass, and one for each of the other deposits.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    kind = " in detail" if patient.anatomy.detailed else ""
    # All appears when it is complete: the slices that an interrupted run leaves would pass for a shorter scan.
    with hidden_folder(folder) as partial:
        (partial / CT_FOLDER).mkdir()
        write_slices(
            patient.volume,
            partial / CT_FOLDER,
            identity=("Simulated^Patient", f"SIM{patient.seed:06d}"),
            description=f"Simulated {patient.protocol.kind} CT without contrast",
            entropy=f"coronary-calcium simulated patient {patient.seed}{kind} {patient.protocol}",
            progress=progress,
        )
        _write_labels(patient, partial / LABELS_FILE)
        _write_plaques(patient, partial / PLAQUES_FILE)
        (partial / TRUTH_FILE).write_text(json.dumps(_truth(patient), indent=2) + "\n", encoding="utf-8")
        folder.mkdir(exist_ok=True)
        (folder / TRUTH_FILE).unlink(missing_ok=True)
        shutil.rmtree(folder / CT_FOLDER, ignore_errors=True)
        for name in (CT_FOLDER, LABELS_FILE, PLAQUES_FILE, TRUTH_FILE):
            (partial / name).replace(folder / name)


def is_complete(folder: Path) -> bool:
    """Whether ``write_patient`` has written all of a patient into the folder."""
    return (folder / TRUTH_FILE).is_file()


def _truth(patient: SimulatedPatient) -> dict[str, Any]:
    score = score_labels(patient.volume, patient.labels)
    exact, build, protocol = exact_agatston(patient.deposits), patient.anatomy.build, patient.protocol
    return {
        "seed": patient.seed,
        "agatston_exact": {
            "total": exact["total"],
            "by_artery": {artery.name: exact[artery.name] for artery in NAMED_ARTERIES},
        },
        "risk_category_exact": risk_category(exact["total"]),
        "agatston_as_imaged": {
            "total": score.total.agatston,
            "by_artery": {artery.name: score.by_artery[artery.name].agatston for artery in NAMED_ARTERIES},
        },
        "risk_category": score.risk_category,
        "lesions": score.total.lesions,
        "patient": {
            "age": round(build.age),
            "sex": "F" if build.female else "M",
            "size": round(build.size, 3),
            "anatomy": "detailed" if patient.anatomy.detailed else "simple",
            "dominance": "left" if "LPDA" in patient.anatomy.heart.arteries else "right",
        },
        "protocol": {
            "kind": protocol.kind,
            "gated": protocol.gated,
            "kvp": protocol.kvp,
            "kernel": protocol.kernel,
            "noise_hu": round(protocol.noise, 1),
            "thickness_mm": protocol.thickness,
            "spacing_mm": protocol.spacing,
            "field_of_view_mm": round(protocol.field_of_view, 1),
            "motion_mm": round(protocol.motion, 2),
        },
    }


def write_slices(
    volume: CTVolume,
    folder: Path,
    *,
    identity: tuple[str, str],
    description: str,
    entropy: str,
    progress: Progress = no_progress,
) -> None:
    """Write a simulated scan as DICOM CT images, one file per slice, into a folder that is there.

    ``identity`` is a synthetic patient's name and ID; the same ``entropy`` gives the same UIDs again.
    """
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415 (training machines have no pydicom)
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid  # noqa: PLC0415

    facts = volume.acquisition
    dj, di = volume.spacing[1:]
    uid = {name: generate_uid(entropy_srcs=[entropy, name]) for name in ("study", "series", "frame")}
    for k in range(volume.shape[0]):
        position = volume.position((k, 0, 0))
        ds = Dataset()
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[entropy, str(k)])
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uid["study"], uid["series"], uid["frame"]
        ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.Manufacturer, ds.ManufacturerModelName = "Simulated", facts.model
        ds.PatientName, ds.PatientID = identity
        ds.PatientBirthDate, ds.PatientSex, ds.PatientPosition = "", "O", "HFS"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "", "", "", "1", ""
        ds.SeriesDescription = description
        ds.SeriesNumber, ds.InstanceNumber = 1, volume.shape[0] - k
        ds.KVP, ds.ConvolutionKernel = f"{facts.kvp:g}", facts.kernel
        ds.SliceThickness = _decimal(facts.slice_thickness_mm or volume.spacing[0])
        ds.PixelSpacing = [_decimal(dj), _decimal(di)]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [_decimal(value) for value in position]
        ds.SliceLocation = _decimal(position[2])
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, INTERCEPT, "HU"
        ds.LossyImageCompression = "00"
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = volume.shape[1:]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.WindowCenter, ds.WindowWidth = 40, 400
        ds.PixelData = (volume.hu[k].astype(np.int32) - INTERCEPT).astype("<u2").tobytes()
        ds.save_as(folder / f"slice-{volume.shape[0] - k:04d}.dcm", enforce_file_format=True)
        progress((k + 1) / volume.shape[0], "Writing DICOM")


def _decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters."""
    return f"{value:.8f}"[:16]


def _write_labels(patient: SimulatedPatient, path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813, PLC0415 (training machines have no SimpleITK)

    image = sitk.GetImageFromArray(patient.labels)
    image.SetSpacing([float(value) for value in reversed(patient.volume.spacing)])
    image.SetOrigin(patient.volume.origin)
    sitk.WriteImage(image, str(path), useCompression=True)


_PLAQUE_COLUMNS = ("plaque", "kind", "artery", "shape", "x_mm", "y_mm", "z_mm")
_PLAQUE_MEASURES = ("length_mm", "hu_at_120_kvp", "volume_mm3", "mass_mg")


def _write_plaques(patient: SimulatedPatient, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow([*_PLAQUE_COLUMNS, *_PLAQUE_MEASURES])
        for plaque in plaques_of(patient.deposits):
            middle = [f"{value:.2f}" for value in plaque.middle]
            measures = [
                f"{plaque.length_mm:.2f}",
                f"{plaque.hu:.0f}",
                f"{plaque.volume_mm3:.3f}",
                f"{plaque.mass_mg:.4f}",
            ]
            artery = BY_LABEL[plaque.label].name
            table.writerow([plaque.number, "plaque", artery, plaque.form, *middle, *measures])
        for deposit in patient.deposits:
            if not deposit.label:
                middle = [f"{(low + high) / 2:.2f}" for low, high in deposit.shape.bounds]
                table.writerow(["", deposit.kind, "", "", *middle, "", f"{deposit.hu:.0f}", "", ""])
