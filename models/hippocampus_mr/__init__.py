"""Segmentation of the anterior and posterior hippocampus in cropped T1-weighted MR."""
