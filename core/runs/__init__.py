"""Runs as folders: the store, the worker process that trains one, and the queue they wait in."""
