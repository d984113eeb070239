"""Coronary calcium scoring on non-contrast CT: the engine, without Slicer, Qt or VTK.

Conventions that hold everywhere in this package: arrays are indexed (k, j, i) with k ascending to the head,
j to the back and i to the patient's left; patient coordinates are DICOM's LPS in millimeters; intensities
are Hounsfield units (HU).
"""

__version__ = "0.1.0"
