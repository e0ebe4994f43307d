"""A config as a JSON file: for another machine, a script, or a colleague. Must not import torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.config import RunConfig
from core.errors import ConfigError
from core.json_input import parse_json
from core.schema import raising


def write_config(config: RunConfig) -> str:
    """Return a config as JSON with one field per line, for `parse_config`."""
    return json.dumps(config.to_dict(), indent=1, allow_nan=False) + "\n"


def parse_config(data: bytes | str, name: str = "the file") -> RunConfig:
    """Return the config that a JSON file describes; fields left out take their defaults.

    Args:
        data: an object of the config's fields, or the run.json of a run.
        name: what errors call the file.

    Raises:
        ConfigError: it is not JSON, has an unknown field, or a wrong value.
    """
    with raising(ConfigError):
        values: Any = parse_json(data, name)
    if isinstance(values, Mapping) and isinstance(values.get("config"), Mapping):
        values = values["config"]
    return RunConfig.from_dict(values)
