"""Command-line options generated from the fields of RunConfig, so that the two always agree."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from core import aliases
from core.cli.output import print_message
from core.config import FIELDS, RunConfig, parse
from core.errors import ConfigError, UserError
from core.json_input import MAX_BYTES, parse_json, read_json_file
from core.recipes import RECIPES, recipe
from core.regular_files import read_regular_file
from core.runs.config_file import parse_config
from core.schema import Field, raising, shown
from core.training.effects import unused_fields


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--recipe`, `--config` and an option per field of RunConfig to a command.

    Args:
        command: Takes `recipe_name` (str or None) and `config` (RunConfig), and its own options.
    """
    recipe_name = inspect.Parameter(
        "recipe_name",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, recipe_option()],
    )

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        changes = _pop_changes(values)
        file = values.pop("config_file")
        if file is not None and values["recipe_name"]:
            raise UserError("name a recipe or a config file to start from, not both.")
        base = recipe(values["recipe_name"]).config if values["recipe_name"] else RunConfig()
        if file is not None:
            base = _read_config(file)
        config = base.changed(**changes)
        warn_unused(config, changes)
        command(config=config, **values)

    config_file = inspect.Parameter(
        "config_file",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            Path | None,
            typer.Option(
                "--config",
                metavar="FILE",
                help="Start from a config as JSON, as `config RUN` writes it.",
                show_default=False,
            ),
        ],
    )
    own = _own_parameters(command, "recipe_name", "config")
    _set_signature(
        wrapped, [*own, recipe_name, config_file, *_config_parameters(show_defaults=True)]
    )
    return wrapped


def with_changes(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option per field of RunConfig to a command that changes an existing config.

    Args:
        command: Takes `changes` (the fields given, as for `RunConfig.changed`), and its own
            options.
    """

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        changes = _pop_changes(values)
        command(changes=changes, **values)

    own = _own_parameters(command, "changes")
    _set_signature(wrapped, [*own, *_config_parameters(show_defaults=False)])
    return wrapped


def _read_config(path: Path) -> RunConfig:
    """Read a config file.

    Raises:
        ConfigError: it cannot be read, or describes no config.
    """
    try:
        data = read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    return parse_config(data, shown(str(path)))


def recipe_option() -> Any:
    """Return the option `--recipe`."""
    return typer.Option(
        "--recipe",
        metavar="NAME",
        help=f"Start from the config of a recipe: {', '.join(RECIPES)}.",
        show_default=False,
    )


def warn_unused(
    config: RunConfig,
    changes: Iterable[str],
    *,
    varied: Container[str] = (),
    set_by_test: Container[str] = (),
) -> None:
    """Warn on standard error about given options that have no effect.

    Args:
        config: the config with the options applied.
        changes: the fields that were given.
        varied: the fields that a sweep varies.
        set_by_test: the fields that a range test sets itself.
    """
    unused = unused_fields(config)
    for name in changes:
        if name in set_by_test:
            print_message(f"Warning: {_flag(name)} has no effect in a range test.")
            continue
        if name in varied:
            print_message(f"Warning: {_flag(name)} has no effect: the sweep varies it.")
            continue
        if name not in unused or unused[name].field in varied:
            continue
        cause = unused[name]
        value = getattr(config, cause.field)
        shown_value = "" if isinstance(value, bool | tuple) else f" {value}"
        instead = f"; use {_flag(cause.instead)}" if cause.instead else ""
        print_message(
            f"Warning: {_flag(name)} has no effect with {_flag(cause.field)}{shown_value}{instead}."
        )


def read_rows(name: str, text: str) -> Any:
    """Read rows given as JSON, or as the path of a JSON file.

    Args:
        name: The option, for the error message.
        text: The JSON or the path.

    Raises:
        ConfigError: It is neither, or too large.
    """
    with raising(
        lambda message: ConfigError(
            f"{name} must be a list of rows as JSON, or the path of a JSON file: {message}"
        )
    ):
        if text.lstrip("\ufeff \n\t").startswith("["):
            return parse_json(text, "the text")
        return read_json_file(Path(text), shown(text))


def _own_parameters(command: Callable[..., None], *computed: str) -> list[inspect.Parameter]:
    """List a command's parameters that the user gives, as keyword-only parameters."""
    return [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name not in computed
    ]


def _set_signature(wrapped: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Set the signature from which typer builds the options."""
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]


def _config_parameters(show_defaults: bool) -> list[inspect.Parameter]:
    return [_config_parameter(name, spec, show_defaults) for name, spec in FIELDS.items()]


def _config_parameter(name: str, spec: Field, show_default: bool) -> inspect.Parameter:
    """Return the parameter of one config field.

    It takes text, so that `core.config` validates it like a value from a page or a link.
    """
    metavar = {list: "ROWS", int: "NUMBER", float: "NUMBER", str: "NAME"}.get(spec.type)
    text = spec.help
    if spec.choices:
        text += f" One of {', '.join(spec.choices)}."
    if spec.type is list:
        text += " JSON, or the path of a JSON file."
    elif show_default:
        text += f" [default: {spec.default}]"

    flag = _flag(name)
    flags = f"{flag}/--no-{flag[2:]}" if spec.type is bool else flag
    old_flags = [f"--{old}" for old, present in aliases.FIELDS.items() if present == name]
    hint: Any = bool if spec.type is bool else str
    option = typer.Option(flags, *old_flags, help=text, show_default=False, metavar=metavar)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[hint | None, option],
    )


def _pop_changes(values: dict[str, Any]) -> dict[str, Any]:
    """Remove the config fields from a command's values, and return those given, parsed."""
    changes = {name: value for name in FIELDS if (value := values.pop(name)) is not None}
    for name, text in changes.items():
        if isinstance(text, str):
            is_rows = FIELDS[name].type is list
            changes[name] = read_rows(name, text) if is_rows else parse(name, text)
    # A named architecture or preset replaces the rows of the recipe or the parent.
    for name, rows in (("architecture", "layers"), ("augmentation", "transforms")):
        if name in changes:
            changes.setdefault(rows, [])
    return changes


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
