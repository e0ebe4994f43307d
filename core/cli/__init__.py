"""The command line, `python -m core`: one module a group of commands."""
