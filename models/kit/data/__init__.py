"""From a folder of labelled images to cases without twins, and a split that nothing leaks across."""
