"""The files of a case that was corrected and saved in Slicer ("Save as training case"), by their names."""

CT, LABELS, PROPOSAL, FACTS = "ct.nrrd", "labels.nrrd", "proposal.nrrd", "case.json"
