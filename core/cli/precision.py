"""The command about what precision "auto" measured on this machine."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from core.cli.output import Json, print_json, print_result, print_table, print_text
from core.training import format_cache
from core.training.format_cache import Measurement


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command()(precision)


def precision(
    clear: Annotated[
        bool, typer.Option("--clear", help="Forget all; the next runs measure again.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show what precision "auto" measured on this machine: ms per step by precision and layout."""
    if clear:
        count = format_cache.clear()
        text = f"{count} measurement{'' if count == 1 else 's'} removed."
        print_result({"removed": count}, text, json_)
        return
    kept = format_cache.list_measurements()
    if json_:
        print_json([_to_dict(measurement) for measurement in kept])
        return
    if not kept:
        print_text("Nothing is measured yet; a run with precision auto measures at its start.")
        return
    print_table(
        ("network", "parameters", "batch", "threads", "device", "fastest", "ms", "measured"),
        [_row(measurement) for measurement in kept],
        left=("network", "device", "fastest", "measured"),
    )


def _row(measurement: Measurement) -> tuple[str, ...]:
    setting, name = measurement.setting, _fastest(measurement)
    return (
        str(setting.get("architecture", "")),
        str(setting.get("parameters", "")),
        str(setting.get("batch_size", "")),
        str(setting.get("threads", "")),
        str(setting.get("device_name") or setting.get("device", "")),
        name,
        f"{measurement.times[name]:.3f}",
        datetime.fromtimestamp(measurement.measured).isoformat(" ", "minutes"),
    )


def _fastest(measurement: Measurement) -> str:
    """The format that runs use, by the rule that they apply."""
    from core.training.format_benchmarks import fastest_format, fastest_precision

    if set(measurement.times) == {"fp32", "bf16"}:  # of a teacher, in the layout of its weights
        return fastest_precision(measurement.times)
    return " ".join(fastest_format(measurement.times))


def _to_dict(measurement: Measurement) -> dict[str, Any]:
    return {
        "setting": dict(measurement.setting),
        "times": measurement.times,
        "fastest": _fastest(measurement),
        "measured": measurement.measured,
    }
