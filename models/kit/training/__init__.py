"""Training of a package: what its thin ``train.py`` calls. Needs the extra ``train``; never imported on a node."""
