"""Write a simulated patient as a DICOM CT series, with its truth beside it."""

import csv
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from coronary_calcium.arteries import BY_LABEL, NAMED_ARTERIES
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring import score_labels
from coronary_calcium.simulation.patient import SimulatedPatient
from coronary_calcium.volume import CTVolume

# The offset that lets an unsigned 12-bit scanner store air; stored value = HU + 1024.
INTERCEPT = -1024


def write_patient(patient: SimulatedPatient, folder: Path, progress: Progress = no_progress) -> None:
    """Write ``dicom/`` (one file a slice), ``labels.nrrd``, ``plaques.csv`` and ``truth.json`` into ``folder``.

    ``truth.json`` holds the scores as imaged: those of the true label map on the noisy, blurred scan.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The series appears when it is complete: the slices that an interrupted run leaves would pass for a shorter scan.
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        partial = Path(scratch) / "dicom"
        partial.mkdir()
        write_slices(
            patient.volume,
            partial,
            identity=("Simulated^Patient", f"SIM{patient.seed:06d}"),
            description=f"Simulated {'cardiac' if patient.protocol.gated else 'chest'} CT without contrast",
            entropy=f"coronary-calcium simulated patient {patient.seed} {patient.protocol}",
            progress=progress,
        )
        shutil.rmtree(folder / "dicom", ignore_errors=True)
        partial.rename(folder / "dicom")
    _write_labels(patient, folder / "labels.nrrd")
    _write_plaques(patient, folder / "plaques.csv")
    score = score_labels(patient.volume, patient.labels)
    truth = {
        "seed": patient.seed,
        "agatston_as_imaged": {
            "total": score.total.agatston,
            "by_artery": {artery.name: score.by_artery[artery.name].agatston for artery in NAMED_ARTERIES},
        },
        "risk_category": score.risk_category,
        "lesions": score.total.lesions,
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def write_slices(
    volume: CTVolume,
    folder: Path,
    *,
    identity: tuple[str, str],
    description: str,
    entropy: str,
    progress: Progress = no_progress,
) -> None:
    """Write a simulated scan as DICOM CT images, one file a slice, into a folder that is there.

    ``identity`` is a made-up patient's name and ID; the same ``entropy`` gives the same UIDs again.
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


def _write_plaques(patient: SimulatedPatient, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["kind", "artery", "x_mm", "y_mm", "z_mm", "hu_at_120_kvp"])
        for deposit in patient.deposits:
            middle = [(low + high) / 2 for low, high in deposit.shape.bounds()]
            artery = BY_LABEL[deposit.label].name if deposit.label else ""
            table.writerow([deposit.kind, artery, *(f"{value:.2f}" for value in middle), f"{deposit.hu:.0f}"])
