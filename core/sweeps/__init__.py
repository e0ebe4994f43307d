"""Searches over configs and architectures, on one machine or several."""
