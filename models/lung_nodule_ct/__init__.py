"""Lung nodules in chest CT, a demonstration: a model package."""
