"""What a network looked at.

``heat_map`` and ``input_map`` run on the node (torch only); the rest needs the extra ``train`` (captum).
"""
