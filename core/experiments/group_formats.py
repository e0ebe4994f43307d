"""How the runs of a group compute, in sentences. Must not import torch."""

from __future__ import annotations

from collections.abc import Sequence

from core.runs.run import Run
from core.runtime import Runtime
from core.wording import plural


def describe_shared(runs: Sequence[Run]) -> str:
    """Return what the runs of a group share, and in what they differ, in a sentence.

    Args:
        runs: of the group, started or not.
    """
    computed: dict[str, list[str]] = {}
    for run in runs:
        if run.runtime is not None:
            computed.setdefault(_describe_runtime(run.runtime), []).append(run.name)
    count = plural(len(runs), "run")
    if not computed:
        return f"{count} that differ only in their seed; none has started yet."
    if len(computed) == 1:
        return f"{count} that differ only in their seed; all compute {next(iter(computed))}."
    formats = "; ".join(f"{', '.join(names)} {text}" for text, names in computed.items())
    return (
        f"{count} that differ in their seed and in how they compute ({formats}), so rounding is a "
        "part of their spread."
    )


def _describe_runtime(runtime: Runtime) -> str:
    return f"on {runtime.device} in {runtime.precision}, layout {runtime.layout}"
