"""The parts of the module that need the application or Qt, and are not the module file itself."""
