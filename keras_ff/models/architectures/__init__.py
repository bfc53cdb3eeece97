"""Ready architectures."""
