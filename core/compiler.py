"""Compile C for this machine, and load the result; compiled libraries are kept in a cache folder.

The compiler is the package `ziglang` (a complete C compiler, installed by pip), otherwise the
system's `cc`, `clang` or `gcc`. Must not import torch.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.user_cache import cache_folder

KERNELS = Path(__file__).parent / "compiled" / "kernels"
TIMEOUT = 300  # seconds for one compilation
# Products and sums may be fused; otherwise arithmetic is as written, so NaN and infinity keep their
# meaning and sums their order.
_FLAGS = (
    *("-std=gnu11", "-O3", "-g0", "-shared", "-fPIC", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fno-stack-protector"),
)

_log = logging.getLogger(__name__)


class CompilerError(Exception):
    """There is no working C compiler, or it refuses the source; the message says why."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler.

    Args:
        command: that compiles for this machine's processor.
        identity: of the compiler's version and of the processor's features.
        lanes: float32 numbers in a vector of this processor.
    """

    command: tuple[str, ...]
    identity: str
    lanes: int


@functools.cache
def find_compiler() -> Compiler:
    """Return the compiler to use.

    Raises:
        CompilerError: none works.
    """
    reasons = []
    for command in _candidates():
        try:
            macros = _run([*command, "-dM", "-E", "-x", "c", os.devnull])
        except CompilerError as error:
            reasons.append(str(error))
            continue
        version = next((line for line in macros.splitlines() if "__VERSION__" in line), "")
        identity = hashlib.sha256(f"{command[1:]}{version}{macros}".encode()).hexdigest()
        lanes = 16 if "__AVX512F__" in macros else 8 if "__AVX__" in macros else 4
        if lanes == 16:
            command = (*command, "-mprefer-vector-width=512")
        return Compiler((*command, *_FLAGS), identity, lanes)
    raise CompilerError("; ".join(reasons) or "no C compiler is installed; pip install ziglang")


def is_available() -> bool:
    """Whether a C compiler works on this machine; the reason why not is in the log."""
    try:
        find_compiler()
    except CompilerError as error:
        _log.warning("networks are not compiled: %s", error)
        return False
    return True


def can_load(source: str) -> bool:
    """Whether `load_library` accepts a source; the reason why not is in the log."""
    try:
        load_library(source)
    except CompilerError as error:
        _log.warning("a network is not compiled: %s", error)
        return False
    return True


def load_library(source: str) -> ctypes.CDLL:
    """Compile a source, unless that was done before, and load it.

    Args:
        source: C that includes headers of `kernels`.

    Raises:
        CompilerError: the source cannot be compiled, or the cache folder cannot be used.
    """
    compiler = find_compiler()
    options = compiler.command
    parts = [source, compiler.identity, *options[1:], *_headers()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    try:
        path = _library_folder() / f"{key}{_suffix()}"
        if not path.is_file():
            _compile(options, source, path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CompilerError(f"a compiled library cannot be used ({error})") from error


def load_once(source: str) -> ctypes.CDLL:
    """Compile a source and load it, without keeping the library for another process.

    Args:
        source: as for `load_library`.

    Raises:
        CompilerError: as `load_library`.
    """
    options = find_compiler().command
    try:
        # A loaded library cannot be deleted on Windows.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder) / f"library{_suffix()}"
            _compile(options, source, path)
            return ctypes.CDLL(str(path))
    except OSError as error:
        raise CompilerError(f"a compiled library cannot be used ({error})") from error


def _library_folder() -> Path:
    """Return the folder of compiled libraries, which only this user may write.

    Raises:
        OSError: it cannot be created, or belongs to someone else.
    """
    folder = cache_folder() / "compiled"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid"):
        status = folder.stat()
        if status.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if stat.S_IMODE(status.st_mode) & 0o022:
            folder.chmod(0o700)
    return folder


def find_zig() -> Path | None:
    """Return the compiler of the package `ziglang`; None: it is not installed."""
    package = importlib.util.find_spec("ziglang")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / ("zig.exe" if sys.platform == "win32" else "zig")


def _candidates() -> list[tuple[str, ...]]:
    """Commands that may compile for this processor, the preferred one first."""
    candidates: list[tuple[str, ...]] = []
    zig = find_zig()
    if zig is not None:
        # On Linux zig would first build a C library, which takes seconds; nothing here needs one.
        bare = ("-nostdlib",) if sys.platform.startswith("linux") else ()
        candidates.append((str(zig), "cc", "-mcpu=native", "-fno-sanitize=undefined", *bare))
    for name in ("cc", "clang", "gcc"):
        path = shutil.which(name)
        if path is not None:
            candidates += [(path, "-march=native"), (path, "-mcpu=native")]
    return candidates


def _compile(command: tuple[str, ...], source: str, path: Path) -> None:
    """Write the library, whole or not at all, with its source beside it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        text, library = Path(folder) / f"{path.stem}.c", Path(folder) / path.name
        text.write_text(source, encoding="utf-8")
        _run([*command, f"-I{KERNELS}", "-o", str(library), str(text)])
        text.replace(path.with_suffix(".c"))
        library.replace(path)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(f"{command[0]} cannot be run ({error})") from error
    if done.returncode:
        message = next((line for line in done.stderr.splitlines() if "error" in line), "")
        raise CompilerError(f"{command[0]} failed ({message or done.stderr[-300:]})")
    return done.stdout


@functools.cache
def _headers() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(KERNELS.glob("*.h")))


def _suffix() -> str:
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
