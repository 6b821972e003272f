"""The viewer beside the pages, where one is installed."""
