"""What the files of a simulated patient are called."""

CT, LABELS, PLAQUES = "dicom", "labels.nrrd", "plaques.csv"
# The last one to appear: a folder that holds it is complete.
TRUTH = "truth.json"
