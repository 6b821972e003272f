"""The words of the field as frozen dataclasses: standard library and numpy only."""
