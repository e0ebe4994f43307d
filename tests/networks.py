"""Networks for tests: straight from a config, and rows of every kind."""

from __future__ import annotations

from core.config import RunConfig
from core.models.architectures import rows_of
from core.models.network import Network, build

# Rows of every kind with values other than the defaults, and every activation.
ODD = (
    {"kind": "space_to_depth", "block": 2},
    {
        "kind": "conv",
        "channels": 8,
        "kernel": 3,
        "stride": 2,
        "padding": 2,
        "groups": 4,
        "bias": False,
        "norm": "batch",
        "activation": "silu",
    },
    {
        "kind": "conv",
        "channels": 8,
        "kernel": 3,
        "padding": 1,
        "norm": "batch",
        "activation": "gelu",
    },
    {
        "kind": "conv",
        "channels": 8,
        "kernel": 3,
        "padding": 1,
        "norm": "batch",
        "activation": "relu",
        "shared": True,
    },
    {"kind": "conv", "channels": 8, "kernel": 1, "activation": "none"},
    {"kind": "add", "from": 2, "activation": "relu"},
    {"kind": "avgpool", "kernel": 3, "stride": 1},
    {"kind": "maxpool", "kernel": 2, "stride": 1},
    {"kind": "dropout", "p": 0.3},
    {"kind": "linear", "channels": 12, "bias": False, "activation": "gelu"},
    {"kind": "dropout"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
OTHER = (
    {"kind": "conv", "channels": 12, "kernel": 5, "stride": 2},
    {"kind": "global_avgpool"},
    {"kind": "conv", "channels": 10, "kernel": 1, "activation": "none"},
)


def build_model(config: RunConfig) -> Network:
    """Build the network that a run of this config starts from."""
    return build(rows_of(config), config)


# A network with every kind of row, every activation, padding, groups and a stride.
EVERY_KIND = (
    {"kind": "space_to_depth", "block": 2},
    {"kind": "conv", "channels": 6, "padding": 1, "norm": "batch", "activation": "silu"},
    {"kind": "conv", "channels": 6, "padding": 1, "groups": 3, "activation": "gelu"},
    {"kind": "add", "from": 2, "activation": "relu"},
    {"kind": "maxpool"},
    {"kind": "conv", "channels": 8, "kernel": 1, "bias": False, "norm": "batch"},
    {"kind": "dropout", "p": 0.5},
    {"kind": "conv", "channels": 8, "kernel": 5, "stride": 2, "padding": 3, "norm": "batch"},
    {"kind": "avgpool", "kernel": 2, "stride": 1},
    {"kind": "conv", "channels": 7, "kernel": 2, "activation": "none"},
    {"kind": "global_avgpool"},
    {"kind": "linear", "channels": 12},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
