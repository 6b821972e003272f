"""The model kit: from a folder of labelled images to a package that runs in the node."""
