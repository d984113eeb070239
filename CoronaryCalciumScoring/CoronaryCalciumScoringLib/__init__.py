"""The module's work on the MRML scene: no Qt, no application, so that it also runs on slicer-core alone."""
