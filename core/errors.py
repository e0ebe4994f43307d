"""The errors that reach a person, each as one sentence: what was wrong, with which value, what to do.

Everything in core that refuses an input raises one of these; anything else that escapes is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Base of every error whose text is meant for the person at the page or the command line."""


class ConfigError(UserError):
    """A field of a run's config is unknown, of the wrong type or out of range."""


class DataError(UserError):
    """The dataset could not be had, or what is there is not MNIST."""


class ArchitectureError(UserError):
    """A list of layer rows does not make a network.

    Args:
        message: what is wrong, in words.
        row: the row's number, counted from 1, or None when no single row is at fault.
    """

    def __init__(self, message: str, row: int | None = None):
        super().__init__(f"row {row}: {message}" if row is not None else message)
        self.row = row


class RunError(UserError):
    """A run cannot be found, read, started or changed."""


class LimitError(UserError):
    """Something is larger than this machine's settings allow."""


def listed(names: Iterable[str], conjunction: str = "or") -> str:
    """Names as a sentence lists them: `a, b or c`; at least one."""
    *rest, last = list(names)
    return f"{', '.join(rest)} {conjunction} {last}" if rest else last
