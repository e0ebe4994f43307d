"""The learning-rate schedule of a run as source: the schedule's own function, with the config's values as constants."""

from __future__ import annotations

import dis
import inspect
import re
import types
from collections.abc import Callable
from typing import Any

from core.config import RunConfig
from core.training import schedules

_NUMBERS = (int, float, tuple)


def source(config: RunConfig) -> tuple[list[str], dict[str, Any]]:
    """Functions `rate(step, steps)` and, where the momentum moves, `momentum(step, steps)`.

    Returns:
        The functions as source, and the constants that they use.
    """
    functions: dict[str, str] = {}
    constants: dict[str, Any] = {}
    _take(schedules.SCHEDULES[config.schedule].rate, "rate", config, functions, constants)
    if moves_momentum(config):
        _take(schedules.momentum, "momentum", config, functions, constants)
    return list(functions.values()), constants


def moves_momentum(config: RunConfig) -> bool:
    """Whether a run's momentum changes on the way."""
    steps = 50
    return (
        len(
            {schedules.momentum(config, step, steps) for step in range(0, steps * config.epochs, 5)}
        )
        > 1
    )


def _take(
    function: Callable[..., Any],
    name: str,
    config: RunConfig,
    functions: dict[str, str],
    constants: dict[str, Any],
) -> None:
    """Take a function of `schedules`, after those that it calls."""
    text = inspect.getsource(function)
    for used in _names(function.__code__):
        value = function.__globals__.get(used)
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            if used.strip("_") not in functions:
                _take(value, used.strip("_"), config, functions, constants)
            text = re.sub(rf"\b{used}\(config, ", f"{used.strip('_')}(", text)
            text = re.sub(rf"\b{used}\(", f"{used.strip('_')}(", text)
        elif isinstance(value, _NUMBERS) and not isinstance(value, bool):
            constants[used] = value
    for field in re.findall(r"\bconfig\.(\w+)", text):
        constants[field.upper()] = getattr(config, field)
    text = re.sub(r"\bconfig\.(\w+)", lambda match: match[1].upper(), text)
    # Without the types, which would need imports, and under the names that the script uses.
    text = re.sub(
        r"^def .*?\) -> .*?:\n",
        f"def {name}({', '.join(_arguments(function))}):\n",
        text,
        count=1,
        flags=re.DOTALL,
    )
    functions[name] = text.replace("steps_per_epoch", "steps").strip("\n")


def _names(code: types.CodeType) -> list[str]:
    """The global names that a function uses, those inside its comprehensions included."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    own = [step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"]
    return [*own, *(name for part in inner for name in _names(part))]


def _arguments(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "config"]
