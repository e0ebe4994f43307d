"""Controls that make a RunConfig: built from what `core.config` knows of each field, kept in the session and the link.

A control's key, and so its name in the link, is the field's. Its default is the recipe's value: the link holds only
what differs from the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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
from pages.ui.checkpoints import teacher_names
from pages.ui.frame import KEPT
from pages.ui.terms import explain

DEFAULT_RECIPE = "final"

LABELS = {
    "architecture": "Network",
    "augmentation": "Augmentation",
    "schedule": "Schedule",
    "lr": "Learning rate",
    "max_lr": "Highest learning rate",
    "batch_size": "Batch size",
    "epochs": "Epochs",
    "optimizer": "Optimizer",
    "ema_decay": "Weight averaging",
    "clip_norm": "Gradient clipping",
    "holdout": "Hold-out",
    "gamma": "Factor per epoch",
    "holdout_seed": "Hold-out seed",
    "anneal": "Shape of the one-cycle",
    "device": "Device",
    "initialisation": "First weights",
    "augment_fraction": "Augmented epochs",
    "teacher_share": "Teacher's share",
}

# Values of a slider that climbs by factors rather than by steps.
_MANTISSAS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
SLIDER_VALUES: dict[str, tuple[float, ...]] = {
    "lr": tuple(
        float(f"{digit}e{power}")
        for power in range(-4, 1)
        for digit in _MANTISSAS
        if digit < 2 or power < 0
    ),
    "batch_size": (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
    "epochs": (*range(1, 21), 25, 30, 40, 50, 60, 80, 100, 120, 150, 200),
}
SLIDER_VALUES["max_lr"] = SLIDER_VALUES["lr"]

# Which of the two rates a schedule follows.
RATE_FIELDS = {
    "constant": {"lr"},
    "one-cycle": {"max_lr"},
    "original-one-cycle": {"lr", "max_lr"},
    "cosine": {"lr"},
    "triangle": {"lr", "max_lr"},
    "exponential": {"lr"},
}
# Which schedules have a use for these.
SHAPES = {
    "warmup": {"one-cycle", "triangle"},
    "anneal": {"one-cycle"},
    "momentum_cycle": {"one-cycle"},
    "gamma": {"exponential"},
}
NO_TEACHER = "none"  # no teacher
NEEDS_TEACHER = ("teacher_share", "temperature")
FIRST = ("architecture", "augmentation", "schedule", "lr", "max_lr", "batch_size", "epochs")
# How a field made of rows is read from the link, and written into it.
_TEXTS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "layers": (
        lambda text: [layer.row for layer in trace(row_text.from_text(text))],
        row_text.to_text,
    ),
    "transforms": (transform_text.from_text, transform_text.to_text),
}
# Rows that the Model and Data pages hand over: the session's key and the field, by the control that they replace.
OWN = {"architecture": ("own_layers", "layers"), "augmentation": ("own_transforms", "transforms")}


def draw_recipe_control() -> str:
    """The control that chooses a recipe; tells its name."""
    names = list(RECIPES)
    recipe = st.selectbox(
        "Recipe",
        names,
        index=names.index(DEFAULT_RECIPE),
        key="recipe",
        on_change=lambda: set_recipe(st.session_state["recipe"]),
        help="A set-up with a name. Choosing one sets everything below.",
        **KEPT,
    )
    st.caption(RECIPES[recipe].summary)
    return recipe


def draw_config_controls(base: RunConfig, parent: str = "") -> RunConfig:
    """Draw the controls and make the config that they describe.

    Args:
        base: what they begin with.
        parent: the run whose weights the new one starts from, so that its network stays; empty: none.

    Returns:
        The config.

    Raises:
        ConfigError: the values don't go together.
    """
    values: dict[str, Any] = {}
    for name, titles in (
        ("architecture", ARCHITECTURES),
        ("augmentation", PRESETS),
        ("schedule", SCHEDULES),
    ):
        values |= (
            _locked(base, parent)
            if parent and name == "architecture"
            else _named(name, base, titles)
        )
    used = RATE_FIELDS[values["schedule"]]
    for name in ("lr", "max_lr"):
        values[name] = _ladder(name, base, disabled=name not in used)
    values["batch_size"] = _ladder("batch_size", base)
    values["epochs"] = _ladder("epochs", base)
    with st.expander("More", key="more"):
        for name in FIELDS:
            if _has_use(name, values, parent):
                values[name] = _teacher(base) if name == "teacher" else _field(name, base)
    return base.changed(**values)


def sync_rows_with_link(locked: bool = False) -> None:
    """Take rows of one's own that the link brings, and keep those of the session in it.

    Args:
        locked: whether the network is not for the link to say.
    """
    for key, field in OWN.values():
        if locked and field == "layers":
            st.query_params.pop(field, None)
            continue
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


def field_label(name: str) -> str:
    """What a field is called on a page."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def set_recipe(recipe: str) -> None:
    """Set every control to what a recipe says; an unknown one changes nothing."""
    if recipe not in RECIPES:
        return
    st.session_state["recipe"] = recipe
    set_controls(RECIPES[recipe].config)


def set_controls(config: RunConfig, but: Collection[str] = ()) -> None:
    """Set every control to what a config says, except those of some fields."""
    own = {field: key for key, field in OWN.values()}
    for name, value in config.to_dict().items():
        if name not in but:
            st.session_state[own.get(name, name)] = value


def _has_use(name: str, values: Mapping[str, Any], parent: str) -> bool:
    """Whether a field has a use beside those chosen so far."""
    if name in (*FIRST, *(field for _, field in OWN.values())) or (
        parent and name == "initialisation"
    ):
        return False
    if name in NEEDS_TEACHER and values.get("teacher", NO_TEACHER) == NO_TEACHER:
        return False
    return values["schedule"] in SHAPES.get(name, SCHEDULES)


def _locked(base: RunConfig, parent: str) -> dict[str, Any]:
    shown = f"{len(base.layers)} rows of its own" if base.layers else base.architecture
    st.selectbox(
        field_label("architecture"),
        [shown],
        key="locked_architecture",
        disabled=True,
        help=explain("architecture"),
    )
    st.caption(f"As in {parent}: its weights fit no other network.")
    return {"architecture": base.architecture, "layers": base.layers}


def _named(name: str, base: RunConfig, entries: Mapping[str, Any]) -> dict[str, Any]:
    key, field = OWN.get(name, ("", ""))
    own = st.session_state.get(key) if key else None
    options = list(entries)
    # Shown by name, not by title: Streamlit writes what is shown into the link.
    chosen = st.selectbox(
        field_label(name),
        options,
        index=options.index(getattr(base, name)),
        key=name,
        disabled=bool(own),
        help=explain(name),
        **KEPT,
    )
    if not own:
        st.caption(entries[chosen].help)
        return {name: chosen} | ({field: ()} if field else {})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(own)} rows of your own instead", width="content")
        st.button(
            f"Back to {chosen}", type="tertiary", key=f"drop_{key}", on_click=_drop, args=(key,)
        )
    return {name: chosen, field: own}


def _drop(key: str) -> None:
    st.session_state[key] = []


def _teacher(base: RunConfig) -> str:
    """The control for the run that teaches."""
    options = list(dict.fromkeys([NO_TEACHER, base.teacher, *teacher_names()]))
    return st.selectbox(
        field_label("teacher"),
        options,
        options.index(base.teacher),
        key="teacher",
        help=explain("teacher"),
        **KEPT,
    )


def _ladder(name: str, base: RunConfig, disabled: bool = False) -> Any:
    limits = Limits.from_environment()
    most = {"batch_size": limits.max_batch_size, "epochs": limits.max_epochs}.get(
        name, float("inf")
    )
    own = getattr(base, name)
    options = sorted({*(value for value in SLIDER_VALUES[name] if value <= most), own})
    return st.select_slider(
        field_label(name),
        options,
        value=own,
        key=name,
        format_func=lambda value: f"{value:g}",
        help=explain(name),
        disabled=disabled,
        **KEPT,
    )


def _field(name: str, base: RunConfig) -> Any:
    spec, own = FIELDS[name], getattr(base, name)
    common = {"key": name, "help": explain(name), **KEPT}
    if spec.choices:
        return st.selectbox(
            field_label(name), spec.choices, index=spec.choices.index(own), **common
        )
    if spec.type is bool:
        return st.toggle(field_label(name), own, **common)
    if spec.type is int:
        return st.number_input(
            field_label(name), int(spec.low or 0), int(spec.high or 0), own, **common
        )
    step = {"weight_decay": 1e-4, "ema_decay": 1e-3, "clip_norm": 0.5}.get(name, 0.01)
    return st.number_input(
        field_label(name), spec.low, spec.high, own, step=step, format="%g", **common
    )
