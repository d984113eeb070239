"""Simulated patients with known coronary calcium: anatomy, calcium, scanner, DICOM. Needs numpy and scipy only."""
