"""A case's result as DICOM objects: a segmentation and a structured report."""
