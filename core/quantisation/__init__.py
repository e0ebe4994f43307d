"""Trained networks in integers of 8 and 4 bits."""
