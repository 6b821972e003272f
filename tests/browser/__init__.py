"""Our objects in a viewer that people use. Run by hand (``python -m tests.browser.ohif``): it downloads the viewer."""
