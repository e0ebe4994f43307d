"""A run as one C header without dependencies."""
