"""The user's own architectures and digits."""
