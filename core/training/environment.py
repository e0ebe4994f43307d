"""What a run was trained with: the project's git commit, package versions, and the machine."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "torchvision", "numpy", "albumentations", "ziglang")
_GIT_SECONDS = 5.0


@functools.cache
def find_commit(root: Path = ROOT) -> str:
    """Return the git commit of the project, with "+" after it if its code was changed since.

    Empty where the project is no git repository of its own, or git is not installed.

    Args:
        root: folder of the project.
    """
    try:
        top, commit = _run_git(root, "rev-parse", "--show-toplevel", "HEAD").split("\n")
        if Path(top).resolve() != root.resolve():
            return ""
        code = (path.name for path in root.iterdir() if path.name in ("core", "pages"))
        changed = _run_git(root, "status", "--porcelain", "--untracked-files=no", "--", *code)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return commit[:12] + ("+" if changed else "")


@functools.cache
def list_packages() -> dict[str, str]:
    """Return the versions of the installed packages that a result depends on, by name."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@functools.cache
def describe_machine() -> str:
    """Return processor, number of cores and system, such as "AMD EPYC 7B13, 2 cores, Linux"."""
    cores = os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}".strip()
    return f"{_processor()}, {cores} core{'' if cores == 1 else 's'}, {system}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine() or "unknown"
    return " ".join(name.split())[:100]


def _run_git(root: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(root), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=_GIT_SECONDS,
    )
    return result.stdout.strip()
