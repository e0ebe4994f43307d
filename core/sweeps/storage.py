"""The database of sweeps: a file beside the runs, or a server that several machines share.

Neither optuna nor a database driver at import.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from core.errors import ConfigError, RunError, UserError
from core.runs import folders

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

FOLDER = ".sweeps"
STORAGE = "INKLING_STORAGE"
HEARTBEAT = 10  # seconds between two signs of life of a worker
GRACE = 60  # seconds without one after which a worker counts as dead
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "sqlite": "sqlite",
}
MAX_TEXT, MAX_TEXTS = 1_000_000, 64_000_000  # characters of one text, and of a table's texts
# Optuna's tables with texts of any length.
_TEXTS = (
    ("study_user_attributes", "value_json"),
    ("study_system_attributes", "value_json"),
    ("trial_user_attributes", "value_json"),
    ("trial_system_attributes", "value_json"),
    ("trial_params", "distribution_json"),
)
_PACKAGES = {"psycopg": "psycopg[binary]"}
_EXAMPLES = "postgresql://user@host/database or mysql://user@host/database"


def storage_url(url: str | None = None, folder: Path | None = None) -> str:
    """The storage's address for SQLAlchemy: the given one, $INKLING_STORAGE, or the default file.

    Raises:
        ConfigError: the address is not valid. The message does not repeat it, since it may hold a
            password.
    """
    given = url or os.environ.get(STORAGE)
    if not given:
        return f"sqlite:///{_default_file(folder)}"
    scheme, mark, rest = given.partition("://")
    if not mark or (scheme not in DRIVERS and scheme.partition("+")[0] not in DRIVERS):
        raise ConfigError(f"the storage must be an address such as {_EXAMPLES}.")
    if not given.isprintable():
        raise ConfigError("the storage's address has a character that must be percent-encoded.")
    if not scheme.startswith("sqlite"):
        _check_server(rest.partition("?")[0])
    return f"{DRIVERS.get(scheme, scheme)}://{rest}"


def _check_server(place: str) -> None:
    if place.count("@") > 1:
        raise ConfigError(
            "the storage's address has more than one @; in a password, write %40 for @."
        )
    server = re.split(r"/(?=[^/@]*$)", place, maxsplit=1)[0].rpartition("@")[2]
    port = re.search(r":([^:\]]*)$", server)
    if port and not (port[1].isdecimal() and 0 < int(port[1][:6]) < 65_536):
        raise ConfigError(
            "the storage's port must be a number from 1 to 65535; in a password, write %3A for : "
            "and %3F for ?."
        )


def is_missing(url: str | None = None, folder: Path | None = None) -> bool:
    """Whether the storage is a file that does not exist."""
    path = _file_of(storage_url(url, folder))
    return path is not None and not path.exists()


def connect(url: str | None = None, folder: Path | None = None) -> RDBStorage:
    """Open the storage; new tables are created if it has none.

    Raises:
        RunError: the storage cannot be reached or read.
    """
    address = storage_url(url, folder)
    if not (url or os.environ.get(STORAGE)):
        _default_file(folder).parent.mkdir(parents=True, exist_ok=True)
    path, inode = _file_of(address), 0
    if path is not None and path.exists():
        inode = path.stat().st_ino
    elif path is not None:
        _open.cache_clear()  # an open connection would go on with the deleted file
    try:
        opened = _open(address, HEARTBEAT, GRACE, inode)
    except RuntimeError as error:
        raise RunError(_describe_version(str(error), address)) from None
    _check_sizes(opened)
    return opened


def _check_sizes(storage: RDBStorage) -> None:
    """Refuse a storage with texts too large to be a sweep's, before any of them is read.

    Whoever shares a storage can write to it, and Optuna reads whole tables into memory.

    Raises:
        RunError: a text, or all texts of one kind together, are too large.
    """
    from sqlalchemy import text

    with storage.engine.connect() as connection:
        for table, column in _TEXTS:
            sizes = f"SELECT MAX(LENGTH({column})), SUM(LENGTH({column})) FROM {table}"
            largest, total = connection.execute(text(sizes)).one()
            if (largest or 0) > MAX_TEXT or (total or 0) > MAX_TEXTS:
                raise RunError(
                    f"the storage holds {table} with {(total or 0) / 1e6:,.1f} MB of text, the "
                    f"largest with {(largest or 0) / 1e6:,.1f} MB; a sweep needs far less than "
                    f"{MAX_TEXT / 1e6:.0f} MB for one. Remove what is not a sweep's, or use "
                    "another storage."
                )


@lru_cache(maxsize=8)
def _open(address: str, heartbeat: int, grace: int, inode: int) -> RDBStorage:
    """A file that was replaced by another one has another inode, and is opened anew."""
    import optuna
    from sqlalchemy.pool import NullPool

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A server that many machines ask every few seconds keeps no idle connections.
    options: dict[str, Any] = {"poolclass": NullPool}
    if address.startswith("sqlite"):
        options = {"connect_args": {"timeout": 60}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            address, engine_kwargs=options, heartbeat_interval=heartbeat, grace_period=grace
        )


@contextlib.contextmanager
def storage_errors(url: str | None = None, folder: Path | None = None) -> Iterator[None]:
    """Turn any error of the storage into a sentence that repeats no secret of its address.

    Raises:
        RunError: the storage cannot be used, or holds something that cannot be read.
    """
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        name = error.name or getattr(error.__cause__, "name", None) or "of its database"
        package = _PACKAGES.get(name, name)
        raise RunError(
            f"the storage needs the package {name}, which is not installed: pip install '{package}'"
        ) from None
    except Exception as error:
        address = storage_url(url, folder)
        raise RunError(
            f"the storage at {hide_secrets(address)} cannot be used: {_reason(error, address)}"
        ) from None


def hide_secrets(address: str) -> str:
    """An address without its password and its options, to be shown."""
    scheme, _, rest = address.partition("://")
    rest = rest.partition("?")[0]
    credentials, mark, place = rest.rpartition("@")
    if not mark:
        return f"{scheme}://{rest}"
    user, colon, _ = credentials.partition(":")
    return f"{scheme}://{user}{':***' if colon else ''}@{place}"


def _reason(error: BaseException, address: str) -> str:
    cause: Any = error
    if type(error).__module__.startswith("optuna") and error.__cause__ is not None:
        cause = error.__cause__
    kind, text = type(cause).__name__, str(getattr(cause, "orig", None) or cause)
    if address in text or any(secret in text for secret in _secrets(address)):
        return f"{kind}, whose text is left out since it repeats a secret."
    reason = _first_line(text)
    if isinstance(cause, OSError | RuntimeError) or type(cause).__module__.startswith("sqlalchemy"):
        return reason or kind
    return f"it holds something that cannot be read ({kind}: {reason})."


def _secrets(address: str) -> set[str]:
    """The password and the values of options, and the longer words in them."""
    place, _, options = address.partition("://")[2].partition("?")
    values = [option.partition("=")[2] or option for option in options.split("&")]
    values.append(place.rpartition("@")[0].partition(":")[2])
    values += map(unquote, values[:])
    return {word for value in values for word in (value, *re.findall(r"\w{4,}", value)) if word}


def _first_line(text: str) -> str:
    """The first line of an error's text, safe to print and at most 200 characters."""
    line = next(iter(text.strip().splitlines()), "")[:200]
    return "".join(letter if letter.isprintable() else " " for letter in line)


def _describe_version(error: str, address: str) -> str:
    """Optuna raises a RuntimeError if the tables were made by another version of it."""
    place = hide_secrets(address)
    if "storage upgrade" in error:
        return (
            f"the storage at {place} was made by an older version of Optuna; copy it, then convert "
            "it with: optuna storage upgrade --storage ADDRESS"
        )
    if "latest version" in error:
        return (
            f"the storage at {place} was made by a newer version of Optuna; install that version: "
            "pip install -U optuna"
        )
    return f"the storage at {place} cannot be used: {_reason(RuntimeError(error), address)}"


def _default_file(folder: Path | None) -> Path:
    return (folder or folders.checkpoints_folder()) / FOLDER / "sweeps.db"


def _file_of(address: str) -> Path | None:
    """The file of an SQLite storage; None for a server, or a database in memory."""
    scheme, _, rest = address.partition("://")
    path = rest.partition("?")[0].removeprefix("/")
    if not scheme.startswith("sqlite") or not path or path == ":memory:" or "file:" in path:
        return None
    return Path(path)
