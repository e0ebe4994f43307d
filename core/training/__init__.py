"""Plans, schedules, optimizers and the trainer, which neither reads nor writes files."""
