"""The list of platform differences is complete, and simulations that have no other place."""

from __future__ import annotations

import ast
import ctypes
import importlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import compiler, limits, regular_files
from core.compiled import program
from core.config import RunConfig
from core.data import workers
from core.errors import RunError
from core.runs import capacity, creation, files, jobs, run_names, status, store
from core.training import format_cache
from tests.platforms import DIFFERENCES, Difference

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / "core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
# Code that asks which system it runs on, or for something that only one has.
ASKS = re.compile(
    r"sys\.platform|os\.name\b|platform\.system|hasattr\((os|signal),|getattr\((os|signal),"
    r"|/proc/|/sys/|/dev/|ctypes\.CDLL\(|import (fcntl|resource|msvcrt|winreg)\b"
)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.what[:50])
def test_an_entry_names_code_and_a_test_that_exist(difference: Difference):
    for place, pattern in ((difference.code, "{}"), (difference.simulation, "def {}(")):
        file, name = place.split(": ")
        assert pattern.format(name) in (ROOT / file).read_text(encoding="utf-8"), place


def test_all_code_that_asks_for_the_system_is_listed():
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if ASKS.search(re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text(encoding="utf-8")))
    }
    assert len(asking) > 5
    assert asking <= {difference.code.split(": ")[0] for difference in DIFFERENCES}


def test_windows_flushes_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    real = os.open

    def refuse_folders(path, *more):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *more)

    monkeypatch.setattr(os, "open", refuse_folders)
    files.write_json(tmp_path / "a.json", 1)
    assert files.read_json(tmp_path / "a.json") == 1


def test_a_path_that_is_too_long_is_named(tmp_path, monkeypatch):
    path = tmp_path / ("x" * 200) / "a.json"
    with pytest.raises(RunError, match="No such file"):
        files.write_bytes(path, b"")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(RunError, match="INKLING_CHECKPOINTS"):
        files.write_bytes(path, b"")
    monkeypatch.undo()
    with pytest.raises(RunError, match="INKLING_CHECKPOINTS"):
        files.write_bytes(tmp_path / ("x" * 300), b"")


def test_a_run_has_one_name_where_case_is_ignored(folder, monkeypatch):
    creation.create_run(RunConfig(architecture="linear-7850"), "mine")
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: real(path.with_name(path.name.lower())))
    assert store.open_run("mine").name == "mine"
    with pytest.raises(RunError, match="no run 'MINE'"):
        store.open_run("MINE")


@pytest.mark.parametrize("device", ["con", "prn", "aux", "nul", "com1", "COM9", "lpt1", "Lpt9"])
@pytest.mark.parametrize("ending", ["", ".txt", ".tar.gz", "."])
def test_reserved_names_are_refused_everywhere(device, ending, tmp_path):
    with pytest.raises(RunError):
        run_names.check_name(device + ending)
    assert run_names.find_free_name(device + ending, tmp_path) == "run"
    run_names.check_name(f"{device}x{ending}".rstrip("."))


def test_every_text_file_is_opened_with_an_encoding():
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            is_binary = any(re.search(r"'[rwax+]*b", ast.unparse(each)) for each in call.args)
            is_text = name in ("read_text", "write_text") or (
                name == "open" and isinstance(call.func, ast.Name) and not is_binary
            )
            if is_text:
                given = {keyword.arg for keyword in call.keywords}
                assert "encoding" in given, f"{path.relative_to(ROOT)}:{call.lineno}"


def test_files_are_opened_as_binary_where_that_is_a_choice(tmp_path, monkeypatch):
    data = b"a\r\nb\x1ac"
    (tmp_path / "a").write_bytes(data)
    monkeypatch.setattr(os, "O_BINARY", 0o100000000, raising=False)
    monkeypatch.delattr(os, "O_NONBLOCK")
    monkeypatch.delattr(os, "O_CLOEXEC")
    try:
        assert importlib.reload(regular_files)._FLAGS == os.O_BINARY
    finally:
        monkeypatch.undo()
        importlib.reload(regular_files)
    assert regular_files.read_regular_file(tmp_path / "a", 100) == data


def test_a_worker_needs_no_signal_that_windows_lacks(monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP")
    with pytest.raises(KeyboardInterrupt), jobs.interrupt_on_signals():
        signal.raise_signal(signal.SIGTERM)


def test_cpus_are_counted_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert workers.available_cpus() == capacity.count_cpus() == os.cpu_count()


@pytest.mark.parametrize("error", [TypeError, OSError, AttributeError])
def test_memory_is_left_to_other_c_libraries(error, monkeypatch):
    from core.training import runtime

    def refuse(name: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    runtime.keep_freed_memory()


def test_memory_is_the_machines_without_cgroups(tmp_path):
    assert limits.memory_bytes((str(tmp_path / "missing"),)) == limits.memory_bytes(())


def test_cores_decide_where_no_gpu_is_seen(monkeypatch):
    monkeypatch.delenv("INKLING_RUNNING", raising=False)
    for exists, slots in ((False, None), (True, capacity.GPU_SLOTS)):
        found = SimpleNamespace(exists=lambda exists=exists: exists)
        monkeypatch.setattr(capacity, "Path", lambda path, found=found: found)
        assert capacity.count_slots() == slots


@pytest.mark.parametrize(
    ("system", "ending", "zig"),
    [("win32", ".dll", "zig.exe"), ("darwin", ".dylib", "zig"), ("linux", ".so", "zig")],
)
def test_a_compiled_library_has_the_systems_names(system, ending, zig, monkeypatch):
    package = SimpleNamespace(origin="/site/ziglang/__init__.py")
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: package)
    monkeypatch.setattr(sys, "platform", system)
    assert compiler._suffix() == ending
    binary, *options = compiler._candidates()[0]
    assert Path(binary).name == zig
    assert ("-nostdlib" in options) == (system == "linux")


def test_the_folder_of_libraries_needs_no_user_id(tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delattr(os, "getuid")
    assert compiler._library_folder().is_dir()


def test_a_thread_gives_way_by_the_systems_function(monkeypatch):
    library = SimpleNamespace(SwitchToThread=ctypes.CDLL(None).sched_yield)
    asked = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: asked.append(name) or library, raising=False)
    assert program._give_way() != 0
    assert asked == ["kernel32"]


@pytest.mark.parametrize(
    ("system", "answer"), [("darwin", "Apple M4\n"), ("darwin", None), ("win32", None)]
)
def test_the_processor_is_named_on_every_system(system, answer, monkeypatch):
    def ask(*arguments: object, **more: object) -> str:
        if answer is None:
            raise FileNotFoundError
        return answer

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(format_cache.subprocess, "check_output", ask)
    monkeypatch.setattr(format_cache.platform, "processor", lambda: "")
    monkeypatch.setattr(format_cache.platform, "machine", lambda: "arm64")
    assert format_cache.processor_name() == (answer.strip() if answer else "arm64")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zone can be set")
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"])
def test_times_that_no_time_zone_can_show_are_refused(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for text in ("0001-01-01T00:00:00", "1969-12-31T23:59:59", "1970-01-01T12:00:00"):
            with pytest.raises(RunError, match="not a time"):
                status.parse_time(text)
        for text in ("9999-12-31T23:59:59", "3000-01-01T00:00:00"):
            with pytest.raises(RunError, match="not a time"):
                status.parse_time(text)
        for text in ("1970-01-02T00:00:00", "2998-12-31T23:59:59"):
            status.parse_time(text).astimezone()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_only_generic_fonts_are_named():
    generic = {"sans-serif", "serif", "monospace", "system-ui", "inherit", "var(--st-font"}
    styles = [*(ROOT / "pages").rglob("*.css"), *SOURCES]
    found = set()
    for path in styles:
        text = path.read_text(encoding="utf-8")
        for families in re.findall(r"font-family: ?\"?([^;}\n]+)", text):
            found |= {name.strip(" \"'") for name in families.split(",")}
    assert all(name.rstrip(")") in {each.rstrip(")") for each in generic} for name in found), found
