"""Several networks of the same rows as one."""
