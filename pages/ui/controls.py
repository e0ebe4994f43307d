"""Controls that make a RunConfig: built from what `core.config` knows of each field, kept in the session and the link.

A control's key, and so its name in the link, is the field's. Its default is the recipe's value: the link holds only
what differs from the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.config import FIELDS, Limits, RunConfig
from core.data import transform_text
from core.data.augmentations import PRESETS
from core.errors import UserError
from core.models import row_text
from core.models.architectures import ARCHITECTURES
from core.models.shapes import trace
from core.recipes import RECIPES
from core.training.schedules import SCHEDULES
from pages.ui.frame import KEPT

START_RECIPE = "final"

LABELS = {
    "architecture": "Network", "augmentation": "Augmentation", "schedule": "Schedule", "lr": "Learning rate",
    "max_lr": "Highest learning rate", "batch_size": "Batch size", "epochs": "Epochs", "optimizer": "Optimizer",
    "ema": "Weight averaging", "clip_norm": "Gradient clipping", "holdout": "Hold-out", "decay": "Factor per epoch",
    "holdout_seed": "Hold-out seed", "anneal": "Shape of the one-cycle", "device": "Device",
    "initialisation": "First weights", "augmented": "Augmented epochs",
}

# Values of a slider that climbs by factors rather than by steps.
_MANTISSAS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
LADDERS: dict[str, tuple[float, ...]] = {
    "lr": tuple(float(f"{digit}e{power}") for power in range(-4, 1) for digit in _MANTISSAS if digit < 2 or power < 0),
    "batch_size": (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
    "epochs": (*range(1, 21), 25, 30, 40, 50, 60, 80, 100, 120, 150, 200),
}
LADDERS["max_lr"] = LADDERS["lr"]

# Which of the two rates a schedule follows.
RATES = {"constant": {"lr"}, "one-cycle": {"max_lr"}, "seed-one-cycle": {"lr", "max_lr"}, "cosine": {"lr"},
         "triangle": {"lr", "max_lr"}, "exponential": {"lr"}}
# Which schedules have a use for these.
SHAPES = {"warmup": {"one-cycle", "triangle"}, "anneal": {"one-cycle"}, "momentum_cycle": {"one-cycle"},
          "decay": {"exponential"}}
FIRST = ("architecture", "augmentation", "schedule", "lr", "max_lr", "batch_size", "epochs")
# How a field made of rows is read from the link, and written into it.
_TEXTS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "layers": (lambda text: [layer.row for layer in trace(row_text.from_text(text))], row_text.to_text),
    "transforms": (transform_text.from_text, transform_text.to_text)}
# Rows that the Model and Data pages hand over: the session's key and the field, by the control that they replace.
OWN = {"architecture": ("own_layers", "layers"), "augmentation": ("own_transforms", "transforms")}


def config_controls() -> tuple[str, RunConfig]:
    """Draw the controls and make the config that they describe.

    Returns:
        The recipe's name and the config.

    Raises:
        ConfigError: the values don't go together.
    """
    names = list(RECIPES)
    recipe = st.selectbox("Recipe", names, index=names.index(START_RECIPE), key="recipe",
                          on_change=lambda: take(st.session_state["recipe"]),
                          help="A set-up with a name. Choosing one sets everything below.", **KEPT)
    base = RECIPES[recipe].config
    st.caption(RECIPES[recipe].summary)
    values: dict[str, Any] = {}
    for name, titles in (("architecture", ARCHITECTURES), ("augmentation", PRESETS), ("schedule", SCHEDULES)):
        values |= _named(name, base, titles)
    used = RATES[values["schedule"]]
    for name in ("lr", "max_lr"):
        values[name] = _ladder(name, base, disabled=name not in used)
    values["batch_size"] = _ladder("batch_size", base)
    values["epochs"] = _ladder("epochs", base)
    with st.expander("More", key="more"):
        for name in FIELDS:
            if name not in (*FIRST, "layers", "transforms") and values["schedule"] in SHAPES.get(name, SCHEDULES):
                values[name] = _field(name, base)
    return recipe, base.changed(**values)


def keep_own() -> None:
    """Take rows of one's own that the link brings, and keep those of the session in it."""
    for key, field in OWN.values():
        read, write = _TEXTS[field]
        if key not in st.session_state and field in st.query_params:
            try:
                st.session_state[key] = [dict(row) for row in read(st.query_params[field])]
            except UserError as error:
                st.error(f"The link's {field} cannot be used: {error}", icon=":material/error:")
        if own := st.session_state.get(key):
            st.query_params[field] = write(own)
        else:
            st.query_params.pop(field, None)


def label(name: str) -> str:
    """What a field is called on a page."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def take(recipe: str) -> None:
    """Set every control to what a recipe says; an unknown one changes nothing."""
    if recipe not in RECIPES:
        return
    st.session_state["recipe"] = recipe
    for name, value in RECIPES[recipe].config.to_dict().items():
        if name not in ("layers", "transforms"):
            st.session_state[name] = value
    for key, _ in OWN.values():
        st.session_state[key] = []


def _named(name: str, base: RunConfig, entries: Mapping[str, Any]) -> dict[str, Any]:
    key, field = OWN.get(name, ("", ""))
    own = st.session_state.get(key) if key else None
    options = list(entries)
    # Shown by name, not by title: Streamlit writes what is shown into the link.
    chosen = st.selectbox(label(name), options, index=options.index(getattr(base, name)), key=name,
                          disabled=bool(own), help=FIELDS[name].help, **KEPT)
    if not own:
        st.caption(entries[chosen].help)
        return {name: chosen} | ({field: ()} if field else {})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(own)} rows of your own instead", width="content")
        st.button(f"Back to {chosen}", type="tertiary", key=f"drop_{key}", on_click=_drop, args=(key,))
    return {name: chosen, field: own}


def _drop(key: str) -> None:
    st.session_state[key] = []


def _ladder(name: str, base: RunConfig, disabled: bool = False) -> Any:
    limits = Limits.from_environment()
    most = {"batch_size": limits.max_batch_size, "epochs": limits.max_epochs}.get(name, float("inf"))
    own = getattr(base, name)
    options = sorted({*(value for value in LADDERS[name] if value <= most), own})
    return st.select_slider(label(name), options, value=own, key=name, format_func=lambda value: f"{value:g}",
                            help=FIELDS[name].help, disabled=disabled, **KEPT)


def _field(name: str, base: RunConfig) -> Any:
    spec, own = FIELDS[name], getattr(base, name)
    common = {"key": name, "help": spec.help, **KEPT}
    if spec.choices:
        return st.selectbox(label(name), spec.choices, index=spec.choices.index(own), **common)
    if spec.type is bool:
        return st.toggle(label(name), own, **common)
    if spec.type is int:
        return st.number_input(label(name), int(spec.low or 0), int(spec.high or 0), own, **common)
    step = {"weight_decay": 1e-4, "ema": 1e-3, "clip_norm": 0.5}.get(name, 0.01)
    return st.number_input(label(name), spec.low, spec.high, own, step=step, format="%g", **common)
