"""Shared by the benchmarks: alternating measurements, the machine's name, and tables."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch


def alternate(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Figures of several variants, measured A B A B, so that a slow phase affects them all."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, measure in ways.items():
            figures[name].append(measure())
    return figures


def median(values: Iterable[float]) -> float:
    """The median; nan where there is no value."""
    return statistics.median(some) if (some := list(values)) else float("nan")


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    some = sorted(values)
    return some[max(0, -(-len(some) * percent // 100).__trunc__() - 1)]


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The exponent a of the least-squares fit y = c x^a, in logarithms."""
    return statistics.linear_regression(
        [torch.tensor(x).log().item() for x in xs], [torch.tensor(y).log().item() for y in ys]
    ).slope


def largest_difference(first: Sequence[float], second: Sequence[float]) -> float:
    """The largest absolute difference of two equally long sequences."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def machine() -> str:
    """Processor, cores, load and torch, for the line above a table."""
    name = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        name = names[0] if names else name
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = f"{os.cpu_count()} cores of {name or platform.machine()}"
    return f"{cores}{gpu}, torch {torch.__version__}{load}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--output", type=Path, help="file that the tables go to as well")
    return made


def report(parts: Sequence[str], output: Path | None) -> None:
    """Print a report made of paragraphs and tables, and keep it where it was asked for."""
    text = "\n\n".join(parts)
    print(text)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n")
