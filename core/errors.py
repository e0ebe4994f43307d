"""Errors that are shown to a person as one sentence: what is wrong, with which value, what to do.

Everything in core that refuses an input raises one of these; any other exception is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Base of the errors whose message is shown on a page or the command line."""


class ConfigError(UserError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(UserError):
    """The dataset cannot be fetched, or the files are not MNIST."""


class ArchitectureError(UserError):
    """A list of layer rows does not make a network.

    Args:
        message: what is wrong.
        row: number of the row, counted from 1; None: the whole list.
    """

    def __init__(self, message: str, row: int | None = None):
        super().__init__(f"row {row}: {message}" if row is not None else message)
        self.row = row


class RunError(UserError):
    """A run cannot be found, read, started or changed."""


class LimitError(UserError):
    """Something exceeds the limits of this machine (`core.limits`)."""


def listed(names: Iterable[str], conjunction: str = "or") -> str:
    """Names as a sentence lists them: `a, b or c`; at least one."""
    *rest, last = list(names)
    return f"{', '.join(rest)} {conjunction} {last}" if rest else last
