"""A network's training step and forward pass as C, compiled on the user's machine."""
