"""Compiled libraries are kept, private to the user, and what cannot be compiled is refused."""

from __future__ import annotations

import stat

import pytest

from core import compiler
from core.compiler import CompilerError, can_load, is_available, load_library

pytestmark = pytest.mark.skipif(not is_available(), reason="no C compiler works here")

SOURCE = '#include "vector.h"\nint lanes(void) { return LANES; }\n'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


def test_a_source_is_compiled_once(cache, monkeypatch):
    assert load_library(SOURCE).lanes() == compiler.find_compiler().lanes
    assert sorted(path.suffix for path in cache.iterdir()) == sorted([".c", compiler._suffix()])
    monkeypatch.setattr(compiler, "_compile", lambda *_: pytest.fail("compiled again"))
    load_library(SOURCE)


def test_only_the_user_may_write_where_libraries_are_loaded_from(cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    load_library(SOURCE)
    assert stat.S_IMODE(cache.stat().st_mode) & 0o022 == 0


def test_a_wrong_source_is_refused_with_the_compilers_words_and_leaves_nothing(cache):
    with pytest.raises(CompilerError, match="error"):
        load_library("int broken(")
    assert list(cache.iterdir()) == []


def test_without_a_cache_folder_nothing_is_compiled(cache):
    cache.parent.write_text("not a folder")
    assert not can_load(SOURCE)


def test_without_a_compiler_the_reason_is_an_error(monkeypatch):
    monkeypatch.setattr(compiler, "_candidates", lambda: [("no-such-compiler", "-O3")])
    compiler.find_compiler.cache_clear()
    try:
        assert not is_available()
        with pytest.raises(CompilerError, match="no-such-compiler"):
            compiler.find_compiler()
    finally:
        monkeypatch.undo()
        compiler.find_compiler.cache_clear()
