"""Compiled loops for networks with few channels; the batch is the last dimension in memory."""
