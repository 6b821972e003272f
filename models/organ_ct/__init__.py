"""Body, lungs and bones in CT by rules: a model package."""
