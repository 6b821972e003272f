"""Where the node's own DICOMweb and the viewer over it are: what the viewer is told when it is installed."""

from __future__ import annotations

# Of QIDO-RS, WADO-RS and UPS-RS.
ROOT = "/api/dicom-web"
# The page of the viewer; its files are below.
VIEWER = "/viewer"
# In the data folder: the viewer, and in that its files.
VIEWER_FOLDER, VIEWER_APPLICATION = "viewer", "application"
