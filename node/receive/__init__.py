"""Instances come in: associations, the header of each instance, the store, the record, the answer."""
