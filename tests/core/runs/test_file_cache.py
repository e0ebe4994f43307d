"""Values from files: computed again exactly when the file changes, and bounded in number."""

import pytest

from core.errors import RunError
from core.runs.file_cache import FileCache, file_signature


def test_a_value_is_computed_again_only_when_the_signature_changes():
    cache, computed = FileCache(max_entries=3), []

    def compute():
        computed.append(1)
        return len(computed)

    assert [cache.get("a", signature, compute) for signature in (1, 1, 2, 2, 1)] == [1, 1, 2, 2, 3]


def test_the_least_recently_used_entry_goes_first():
    cache = FileCache(max_entries=2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, 0, lambda key=key: key)
    assert len(cache) == 2
    assert cache.get("a", 0, lambda: "computed again") == "a"
    assert cache.get("b", 0, lambda: "computed again") == "computed again"


def test_a_failure_is_passed_on_and_not_kept():
    cache = FileCache(max_entries=2)

    def fail():
        raise RunError("damaged")

    with pytest.raises(RunError, match="damaged"):
        cache.get("a", 0, fail)
    assert len(cache) == 0
    assert cache.get("a", 0, lambda: 1) == 1


def test_the_signature_of_a_file_changes_when_it_is_replaced(tmp_path):
    path = tmp_path / "a"
    assert file_signature(path) is None
    path.write_bytes(b"1")
    first = file_signature(path)
    assert first == file_signature(path)
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "b").replace(path)
    assert file_signature(path) != first
