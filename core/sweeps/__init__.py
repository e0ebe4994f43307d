"""Sweeps: searches through configs, on one machine or on several that share a storage."""
