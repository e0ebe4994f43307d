"""Runs of one shape, trained as one batched computation."""
