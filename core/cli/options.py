"""Every field of RunConfig as a command-line option, so that the two can never differ. No commands in here."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from core import aliases
from core.config import FIELDS, RunConfig, parse
from core.errors import ConfigError
from core.recipes import RECIPES, recipe
from core.schema import Field

MAX_FILE = 1_000_000


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--recipe` and an option for every field of RunConfig.

    Args:
        command: takes `recipe_name` (str or None) and `config` (RunConfig) first, then its own options.
    """
    recipe_option = typer.Option(
        help=f"Start from a recipe: {', '.join(RECIPES)}.", rich_help_panel="Recipe"
    )
    first = inspect.Parameter(
        "recipe_name",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, _named("--recipe", recipe_option)],
    )

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        changes = _taken(values)
        base = recipe(values["recipe_name"]).config if values["recipe_name"] else RunConfig()
        command(config=base.changed(**changes), **values)

    wrapped.__signature__ = _signature(command, ("recipe_name", "config"), first)  # type: ignore[attr-defined]
    return wrapped


def with_changes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of RunConfig.

    Args:
        command: takes `changes` (the fields that were given, as `RunConfig.changed` takes them) first, then its own.
    """

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        changes = _taken(values)
        command(changes=changes, **values)

    wrapped.__signature__ = _signature(command, ("changes",))  # type: ignore[attr-defined]
    return wrapped


def read_rows(name: str, text: str) -> Any:
    """Rows given on the command line: JSON, or the path of a file that holds it.

    Raises:
        ConfigError: neither reads as JSON.
    """
    content = text
    try:
        if not text.lstrip().startswith("["):
            path = Path(text)
            if path.stat().st_size > MAX_FILE:
                raise ConfigError(f"{name}: {text[:60]!r} is too large a file for a list of rows.")
            content = path.read_text(encoding="utf-8")
        return json.loads(content)
    except (OSError, ValueError, RecursionError):
        raise ConfigError(
            f"{name} takes a list of rows as JSON, or a file that holds one; "
            f"{text[:60]!r} is neither."
        ) from None


def _signature(
    command: Callable[..., None], made: tuple[str, ...], *more: inspect.Parameter
) -> inspect.Signature:
    """A command's own options, then those of the config; `made` are the parameters that are made of the latter."""
    own = [
        item.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for item in inspect.signature(command, eval_str=True).parameters.values()
        if item.name not in made
    ]
    return inspect.Signature([*own, *more, *(_option(name, spec) for name, spec in FIELDS.items())])


def _taken(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of the config among a command's values, read and taken out of them."""
    given = {name: value for name in FIELDS if (value := values.pop(name)) is not None}
    for name, text in given.items():
        if isinstance(text, str):
            given[name] = read_rows(name, text) if FIELDS[name].type is list else parse(name, text)
    # A named architecture or preset takes the place of the rows that the recipe or parent may bring.
    for name, rows in (("architecture", "layers"), ("augmentation", "transforms")):
        if name in given:
            given.setdefault(rows, [])
    return given


def _option(name: str, spec: Field) -> inspect.Parameter:
    # Text, so that `core.config` says what is wrong with a value, as it does for a page or a link.
    hint: Any = bool if spec.type is bool else str
    metavar = {list: "ROWS", int: "NUMBER", float: "NUMBER", str: "NAME"}.get(spec.type)
    shown = "" if spec.type is list else f" [default: {spec.default}]"
    choices = f" One of {', '.join(spec.choices)}." if spec.choices else ""
    kind = " JSON, or a file of it." if spec.type is list else ""
    option = typer.Option(
        help=f"{spec.help}{choices}{kind}{shown}",
        rich_help_panel="Config",
        show_default=False,
        metavar=metavar,
    )
    flag = f"--{name.replace('_', '-')}"
    old = [f"--{other}" for other, present in aliases.FIELDS.items() if present == name]
    option = _named(f"{flag}/--no-{flag[2:]}" if spec.type is bool else flag, option, *old)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[hint | None, option],
    )


def _named(flag: str, option: Any, *old: str) -> Any:
    option.param_decls = (flag, *old)
    return option
