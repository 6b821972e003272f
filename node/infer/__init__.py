"""Run the model: series to volume, model packages, the worker and its spawned child."""
