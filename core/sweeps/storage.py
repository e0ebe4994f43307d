"""Where sweeps are kept: one database, beside the runs or wherever many machines reach it.

Neither optuna nor its database drivers at import.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, RunError
from core.runs import folders

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

FOLDER = ".sweeps"
STORAGE = "INKLING_STORAGE"
HEARTBEAT, GRACE = (
    10,
    60,
)  # seconds between two signs of life, and without one until a worker counts as dead


def storage_url(url: str | None = None, folder: Path | None = None) -> str:
    """Where sweeps are kept: what the operator names, else $INKLING_STORAGE, else a file beside the runs.

    Raises:
        ConfigError: it is no address of a database that can be used.
    """
    given = url or os.environ.get(STORAGE)
    if not given:
        return f"sqlite:///{_file(folder)}"
    scheme, mark, rest = given.partition("://")
    drivers = {
        "postgresql": "postgresql+psycopg",
        "postgres": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
        "sqlite": "sqlite",
    }
    if not mark or (scheme not in drivers and scheme.partition("+")[0] not in drivers):
        raise ConfigError(
            "the storage is an address such as postgresql://user@host/database or "
            "mysql://user@host/database."
        )
    return f"{drivers.get(scheme, scheme)}://{rest}"


def nothing_yet(url: str | None = None, folder: Path | None = None) -> bool:
    """Whether no sweep was ever made in this project; looked up without opening anything."""
    return not (url or os.environ.get(STORAGE)) and not _file(folder).exists()


def connect(url: str | None = None, folder: Path | None = None) -> RDBStorage:
    """The storage; its tables are made where there are none."""
    address = storage_url(url, folder)
    if address.startswith("sqlite") and not (url or os.environ.get(STORAGE)):
        _file(folder).parent.mkdir(parents=True, exist_ok=True)
    return _connect(address, HEARTBEAT, GRACE)


@lru_cache(maxsize=8)
def _connect(address: str, heartbeat: int, grace: int) -> RDBStorage:
    import optuna
    from sqlalchemy.pool import NullPool

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A server asked by many machines every few seconds keeps no idle connection of theirs.
    options: dict[str, Any] = {"poolclass": NullPool}
    if address.startswith("sqlite"):
        options = {"connect_args": {"timeout": 60}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            address, engine_kwargs=options, heartbeat_interval=heartbeat, grace_period=grace
        )


@contextlib.contextmanager
def reached(url: str | None = None) -> Iterator[None]:
    """Say in a sentence that the storage cannot be used, without the password that its address may hold.

    Raises:
        RunError: it cannot.
    """
    try:
        yield
    except ImportError as error:
        name = error.name or getattr(error.__cause__, "name", None) or "for its database"
        raise RunError(
            f"the storage needs the package {name}, which is not installed here."
        ) from None
    except Exception as error:
        from sqlalchemy.exc import SQLAlchemyError

        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
        if not isinstance(cause, SQLAlchemyError):
            raise
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[-1][:200]
        raise RunError(
            f"the storage at {_shown(storage_url(url))} cannot be used: {reason}"
        ) from None


def _file(folder: Path | None) -> Path:
    return (folder or folders.checkpoints_folder()) / FOLDER / "sweeps.db"


def _shown(address: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(address).render_as_string(hide_password=True)
