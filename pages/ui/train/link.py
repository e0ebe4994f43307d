"""Settings in the link that no control can take."""

from __future__ import annotations

import streamlit as st

from core.config import FIELDS, RunConfig, parse
from core.data.presets import PRESETS
from core.errors import ConfigError, listed
from core.models.architectures import ARCHITECTURES
from core.schema import SchemaError
from core.training.schedules import SCHEDULES
from pages.ui.controls import CUSTOM_ROWS, SLIDER_VALUES, field_label
from pages.ui.words import escape_markdown

_ICON = ":material/search_off:"


def warn_impossible_settings(base: RunConfig) -> None:
    """Say once which settings in the link are impossible; call it before the controls are drawn.

    Args:
        base: what the other settings are.
    """
    impossible = []
    named = {"architecture": ARCHITECTURES, "augmentation": PRESETS, "schedule": SCHEDULES}
    for name, text in st.query_params.to_dict().items():
        if name not in FIELDS or name in (field for _, field in CUSTOM_ROWS.values()):
            continue
        try:
            if name in named and text not in named[name]:
                raise ConfigError(f"{name} is {text[:40]!r}; choose {listed(named[name])}.")
            value = parse(name, text)
            if name in SLIDER_VALUES and value not in (*SLIDER_VALUES[name], getattr(base, name)):
                raise ConfigError(f"{name} is {text[:40]}, which its slider does not offer.")
            FIELDS[name].check(value)
        except (ConfigError, SchemaError) as error:
            impossible.append(f"{field_label(name)} cannot be used: {escape_markdown(str(error))}")
    if len(impossible) == 1:
        st.warning(f"The link's {impossible[0]}", icon=_ICON)
    elif impossible:
        lines = "".join(f"\n- {line}" for line in impossible)
        st.warning(f"The link has settings that cannot be used:\n{lines}", icon=_ICON)
