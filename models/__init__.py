"""Model packages: one folder per model, each with its network, its weights and its card."""
