"""Steps from pixels to the input of a network, the same for training and for the node."""
