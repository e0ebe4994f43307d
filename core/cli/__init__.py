"""The command line, `python -m core`: one module per group of commands."""
