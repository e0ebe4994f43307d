"""Words that depend on a number."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 epoch`, `15 epochs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
