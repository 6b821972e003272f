"""The viewer that the node serves beside its pages: OHIF, as npm has it, made to stand below an address of ours."""
