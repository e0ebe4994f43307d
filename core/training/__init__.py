"""Schedules, optimizers, metrics and the trainer: a generator that knows nothing of files or pages."""
