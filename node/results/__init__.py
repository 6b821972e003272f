"""Step 6: results as DICOM objects."""
