"""QIDO-RS and WADO-RS over what the node holds (PS3.18 section 10)."""
