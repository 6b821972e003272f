"""What simpler means reach on the same split: without them a network's figure says little."""
