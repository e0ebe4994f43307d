"""A sweep's storage: its address, and what is said where it cannot be used."""

from __future__ import annotations

import importlib.util

import pytest

from core.errors import ConfigError, RunError
from core.sweeps import storage as sweep_storage
from core.sweeps import study


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("postgresql://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("mysql://me:pw@host/db", "mysql+pymysql://me:pw@host/db"),
        ("mysql+mysqldb://h/d", "mysql+mysqldb://h/d"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_addresses(given, address):
    assert sweep_storage.storage_url(given) == address


@pytest.mark.parametrize("given", ["host/db", "ftp://host/db", "file.db", "://"])
def test_no_address(given):
    with pytest.raises(ConfigError, match="postgresql://"):
        sweep_storage.storage_url(given)


def test_a_storage_that_cannot_be_reached_is_told_without_its_password(monkeypatch):
    monkeypatch.setenv(sweep_storage.STORAGE, "postgresql://me:secret@127.0.0.1:1/db")
    with pytest.raises(RunError, match=r"me:\*\*\*@127.0.0.1:1/db cannot be used") as refused:
        study.list_names()
    assert "secret" not in str(refused.value)


@pytest.mark.skipif(
    importlib.util.find_spec("pymysql") is not None, reason="the driver is installed"
)
def test_a_driver_that_is_not_installed_is_named():
    with pytest.raises(RunError, match="the package pymysql, which is not installed"):
        study.list_names("mysql://me:secret@host/db")
