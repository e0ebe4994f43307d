"""Training steps and forward passes of a network, generated as C and compiled on the user's machine."""
