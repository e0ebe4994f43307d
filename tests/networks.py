"""Networks for tests, straight from a config."""

from __future__ import annotations

from core.config import RunConfig
from core.models.architectures import rows_of
from core.models.network import Network, build


def build_model(config: RunConfig) -> Network:
    """Build the network that a run of this config starts from."""
    return build(rows_of(config), config)
