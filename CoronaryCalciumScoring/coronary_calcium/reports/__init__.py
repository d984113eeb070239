"""A case's result as files: scores, lesions, segmentation and a page to read."""

from coronary_calcium.reports.case_files import Extras, write_case

__all__ = ["Extras", "write_case"]
