"""The address of a sweep's storage, and the errors of a storage that cannot be used."""

from __future__ import annotations

import importlib.util
import logging
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError, RunError, UserError
from core.sweeps import storage, study
from tests.core.sweeps.sweeping import made, row, work

pytestmark = pytest.mark.usefixtures("quick")
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("given_url", "address"),
    [
        ("postgresql://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql://me@host:5432/db?x=a/b:c", "postgresql+psycopg://me@host:5432/db?x=a/b:c"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://[::1]:5432/d", "postgresql+psycopg://[::1]:5432/d"),
        ("postgresql://me:p%40ss@host/db", "postgresql+psycopg://me:p%40ss@host/db"),
        ("mysql://me:pw@host/db", "mysql+pymysql://me:pw@host/db"),
        ("mysql+mysqldb://h/d", "mysql+mysqldb://h/d"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_valid_addresses(given_url, address):
    assert storage.storage_url(given_url) == address


@pytest.mark.parametrize("url", ["host/db", "ftp://host/db", "file.db", "://"])
def test_other_addresses_are_refused_with_an_example(url):
    with pytest.raises(ConfigError, match="postgresql://"):
        storage.storage_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"postgresql://me:{SECRET}@x@host/db", "%40"),
        (f"postgresql://me:{SECRET}@host:port/db", "number from 1 to 65535"),
        (f"postgresql://me:{SECRET}@host:99999/db", "number from 1 to 65535"),
        (f"postgresql://me:{SECRET}@host:0/db", "number from 1 to 65535"),
        (f"postgresql://me:{SECRET}@host:/db", "number from 1 to 65535"),
        (f"postgresql://me:{SECRET}?@host/db", "%3F"),
        (f"postgresql://me:{SECRET}\n@host/db", "percent-encoded"),
    ],
)
def test_an_invalid_address_is_refused_without_its_secret(url, message):
    with pytest.raises(ConfigError, match=message) as refused:
        study.list_names(url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/db",
        f"postgresql://me@127.0.0.1:1/db?password={SECRET}",
        f"postgresql://me@127.0.0.1:1/db?sslmode={SECRET}",
    ],
)
def test_a_server_that_cannot_be_reached_is_an_error_without_the_secret(url, monkeypatch, caplog):
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'psycopg[binary]'")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(storage.STORAGE, url)
    for action in (study.list_names, lambda: study.read("made"), lambda: study.create(made())):
        with pytest.raises(RunError, match=r"127\.0\.0\.1:1/db cannot be used") as refused:
            action()
        assert SECRET not in str(refused.value)
        assert refused.value.__suppress_context__, "a traceback would show the driver's error"
    assert SECRET not in caplog.text


def test_a_driver_that_is_not_installed_is_named(monkeypatch):
    def missing(*given, **options):
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr("optuna.storages.RDBStorage", missing)
    with pytest.raises(RunError, match=r"pip install 'psycopg\[binary\]'"):
        study.list_names("postgresql://me:secret@host/db")


@pytest.fixture
def file(tmp_path):
    """An SQLite storage with a sweep, as an address and a path."""
    path = tmp_path / "shared.db"
    url = f"sqlite:///{path}"
    study.create(made(), url)
    storage._open.cache_clear()
    return url, path


@pytest.mark.parametrize(
    ("revision", "message"),
    [("v2.6.0.a", r"older version of Optuna.*optuna storage upgrade"), ("v99.0.0.a", "newer")],
)
def test_the_storage_of_another_version_of_optuna_is_refused(file, revision, message):
    url, path = file
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    database.close()
    for action in (lambda: study.list_names(url), lambda: study.read("made", url)):
        with pytest.raises(RunError, match=message):
            action()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database\n" * 1_000)
    with pytest.raises(RunError, match="not a database"):
        study.list_names(f"sqlite:///{path}")


def test_reading_a_missing_file_creates_none(tmp_path):
    url = f"sqlite:///{tmp_path / 'none.db'}"
    assert study.list_names(url) == []
    with pytest.raises(RunError, match="no sweep"):
        study.read("made", url)
    assert not (tmp_path / "none.db").exists()


def test_a_storage_that_vanishes_meanwhile_ends_the_worker_with_a_sentence(file):
    url, path = file

    def train(job, should_continue):
        yield row(1, 900)
        path.unlink(missing_ok=True)

    with pytest.raises(RunError, match=r"is gone|cannot be used"):
        work(train=train, url=url)
    assert study.list_names(url) == []
    study.create(made(), url)
    assert study.list_names(url) == ["made"]


def test_a_storage_that_is_replaced_is_opened_anew(file, tmp_path):
    url, path = file
    assert study.list_names(url) == ["made"]
    other = f"sqlite:///{tmp_path / 'other.db'}"
    study.create(made("other"), other)
    (tmp_path / "other.db").replace(path)
    assert study.list_names(url) == ["other"]


TEXT = st.text(max_size=12)
PARTS = st.one_of(
    TEXT,
    st.sampled_from([":", "@", "/", "?", "#", "%", "[", "]", "&password=", "..", "\\", "\x00"]),
)


@settings(max_examples=3_000)
@given(
    scheme=st.sampled_from([*storage.DRIVERS, "postgresql+psycopg", "mysql+x", "ftp", ""]),
    parts=st.lists(PARTS, max_size=8),
    place=st.integers(0, 8),
)
def test_no_address_shows_a_secret_or_ends_in_a_traceback(scheme, parts, place):
    url = f"{scheme}://" + "".join([*parts[:place], f":{SECRET}@", *parts[place:]])
    try:
        address = storage.storage_url(url)
        storage.is_missing(url)
    except UserError as error:
        message = str(error)
    else:
        with pytest.raises(RunError) as refused, storage.storage_errors(url):
            raise ValueError(f"cannot connect as {SECRET} to {address}")
        message = "" if scheme.startswith("sqlite") else str(refused.value)
    assert SECRET not in message
