"""ainode: a DICOM node that puts AI into a hospital's image traffic."""

__version__ = "0.1.0"
