"""Layers with compiled loops for few channels; the batch is the last dimension in memory."""
