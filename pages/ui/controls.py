"""Controls that make a `RunConfig`, built from the description of its fields in `core.config`.

The key of a control is the name of its field, and so is its name in the link. The default is the
recipe's value: the link holds only what differs from the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import streamlit as st

from core.config import FIELDS, NO_DIGITS, RunConfig
from core.data import transform_text
from core.data.presets import PRESETS
from core.errors import ConfigError, UserError
from core.limits import Limits
from core.models import row_text
from core.models.architectures import ARCHITECTURES
from core.models.shapes import trace
from core.recipes import RECIPES
from core.runs.digit_file import list_names
from core.training.effects import rate_fields, unused_fields
from core.training.schedules import SCHEDULES
from pages.ui.checkpoints import teacher_names
from pages.ui.frame import KEPT
from pages.ui.terms import explain
from pages.ui.words import escape_markdown, plural

DEFAULT_RECIPE = "final"
# The control on Train that chooses the run to show, and its value while a new run is set up.
RUN, NEW_RUN = "run", "new run"

LABELS = {
    "architecture": "Network",
    "augmentation": "Augmentation",
    "schedule": "Schedule",
    "lr": "Learning rate",
    "max_lr": "Peak learning rate",
    "batch_size": "Batch size",
    "epochs": "Epochs",
    "optimizer": "Optimizer",
    "ema_decay": "EMA decay",
    "clip_norm": "Gradient clipping",
    "holdout": "Validation hold-out",
    "gamma": "Decay per epoch",
    "holdout_seed": "Hold-out seed",
    "anneal": "Annealing",
    "device": "Device",
    "initialisation": "Weight initialisation",
    "augment_fraction": "Augmented epochs",
    "teacher_share": "Teacher weight",
    "momentum_cycle": "Cycle momentum",
    "nesterov": "Nesterov momentum",
    "warmup": "Warm-up",
    "threads": "CPU threads",
    "seed": "Random seed",
    "digits": "Own digits",
    "digits_share": "Share of own digits",
    "digits_test_share": "Own digits for testing",
}

# Values of the sliders with a logarithmic scale.
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

# Fields that name something stored: the value that stands for nothing, and the names there are.
_STORED: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "teacher": ("none", teacher_names),
    "digits": (NO_DIGITS, list_names),
}
MAIN_FIELDS = ("architecture", "augmentation", "schedule", "lr", "max_lr", "batch_size", "epochs")

# Rows of a network or transforms that the user wrote on Model or Data replace the choice in a
# control: control -> (key in the session, field of the config).
CUSTOM_ROWS = {
    "architecture": ("train_layers", "layers"),
    "augmentation": ("train_transforms", "transforms"),
}
# How such a field is read from the link and written into it.
_LINK_FORMS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "layers": (
        lambda text: [layer.row for layer in trace(row_text.from_text(text))],
        row_text.to_text,
    ),
    "transforms": (transform_text.from_text, transform_text.to_text),
}


def draw_config_controls(
    base: RunConfig, parent: str = "", *, only: Collection[str] = ()
) -> RunConfig:
    """Draw the controls, and return the config that they describe.

    Args:
        base: default values.
        parent: name of the run to fork, whose network cannot be changed; empty: none.
        only: fields that have a control, the others keep the value of `base`; empty: all.

    Raises:
        ConfigError: the values contradict each other.
    """
    values: dict[str, Any] = {}
    for name, entries in (
        ("architecture", ARCHITECTURES),
        ("augmentation", PRESETS),
        ("schedule", SCHEDULES),
    ):
        if only and name not in only:
            continue
        values |= (
            _draw_locked_network(base, parent)
            if parent and name == "architecture"
            else _draw_named_choice(name, base, entries)
        )
    used = rate_fields(values.get("schedule", base.schedule))
    for name in ("lr", "max_lr", "batch_size", "epochs"):
        if not only or name in only:
            unused = name in ("lr", "max_lr") and name not in used
            values[name] = _draw_slider(name, base, disabled=unused)
    more = [name for name in FIELDS if name not in MAIN_FIELDS and (not only or name in only)]
    if not more:
        return base.changed(**values)
    with st.container() if only else st.expander("More", key="train_more"):
        for name in more:
            if _has_control(name, base, values, parent):
                values[name] = _draw_field(name, base)
    return base.changed(**values)


def sync_rows_with_link(locked: bool = False) -> None:
    """Read the user's own rows from the link, or write those of the session into it.

    Args:
        locked: whether the network is fixed, so that the link cannot change it.
    """
    for key, field in CUSTOM_ROWS.values():
        if locked and field == "layers":
            st.query_params.pop(field, None)
            continue
        read, write = _LINK_FORMS[field]
        if key not in st.session_state and field in st.query_params:
            try:
                st.session_state[key] = [dict(row) for row in read(st.query_params[field])]
            except UserError as error:
                st.error(
                    f"The link's {field} cannot be used: {escape_markdown(str(error))}",
                    icon=":material/error:",
                )
        if rows := st.session_state.get(key):
            st.query_params[field] = write(rows)
        else:
            st.query_params.pop(field, None)


def open_train_page(control: str, name: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Open Train with a network or an augmentation from another page.

    Args:
        control: "architecture" or "augmentation".
        name: name of the network or preset; None: it has none.
        rows: layer rows or transforms, used where there is no name.
    """
    key, _ = CUSTOM_ROWS[control]
    st.session_state[RUN] = NEW_RUN
    st.session_state[key] = [] if name else [dict(row) for row in rows]
    if name:  # a value in the session overrides the link
        st.session_state[control] = name
    st.switch_page("pages/train.py", query_params={control: name} if name else {})


def field_label(name: str) -> str:
    """The label of a config field."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def set_recipe(recipe: str) -> None:
    """Set all controls to a recipe's values; an unknown name changes nothing.

    A network or an augmentation of the user's own stays: only the button beside it drops it.
    """
    if recipe not in RECIPES:
        return
    st.session_state["recipe"] = recipe
    own = [CUSTOM_ROWS[control][1] for control in find_own_rows()]
    set_controls(RECIPES[recipe].config, keep=own)


def find_own_rows() -> list[str]:
    """The controls that rows of the user's own replace; those of a recipe are not the user's."""
    own = []
    for control, (key, field) in CUSTOM_ROWS.items():
        rows = st.session_state.get(key)
        recipes = ([dict(row) for row in getattr(r.config, field)] for r in RECIPES.values())
        if rows and rows not in recipes:
            own.append(control)
    return own


def set_controls(config: RunConfig, keep: Collection[str] = ()) -> None:
    """Set all controls to a config's values.

    Args:
        config: the config.
        keep: fields whose controls stay as they are.
    """
    row_keys = {field: key for key, field in CUSTOM_ROWS.values()}
    for name, value in config.to_dict().items():
        if name not in keep:
            st.session_state[row_keys.get(name, name)] = value


def _has_control(name: str, base: RunConfig, values: Mapping[str, Any], parent: str) -> bool:
    """Whether a field needs a control: it has none yet, and matters with the values so far."""
    if name in (field for _, field in CUSTOM_ROWS.values()) or (
        parent and name == "initialisation"
    ):
        return False
    try:
        cause = unused_fields(base.changed(**values)).get(name)
    except ConfigError:  # raised again when all controls are drawn
        return True
    return cause is None or cause.field not in values


def _draw_locked_network(base: RunConfig, parent: str) -> dict[str, Any]:
    network = plural(len(base.layers), "custom layer") if base.layers else base.architecture
    st.selectbox(
        field_label("architecture"),
        [network],
        key="train_locked_network",
        disabled=True,
        help=explain("architecture"),
    )
    st.caption(f"The network of {escape_markdown(parent)}: its weights do not fit any other.")
    return {"architecture": base.architecture, "layers": base.layers}


def _draw_named_choice(name: str, base: RunConfig, entries: Mapping[str, Any]) -> dict[str, Any]:
    key, field = CUSTOM_ROWS.get(name, ("", ""))
    rows = st.session_state.get(key) if key else None
    options = list(entries)
    # The options are names rather than titles, because Streamlit writes an option into the link.
    chosen = st.selectbox(
        field_label(name),
        options,
        index=options.index(getattr(base, name)),
        key=name,
        disabled=bool(rows),
        help=explain(name),
        **KEPT,
    )
    if not rows:
        st.caption(entries[chosen].help)
        return {name: chosen} | ({field: ()} if field else {})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Replaced by {plural(len(rows), f'custom {field[:-1]}')}", width="content")
        st.button(
            f"Back to {chosen}",
            type="tertiary",
            key=f"drop_{key}",
            on_click=_drop_rows,
            args=(key,),
        )
    return {name: chosen, field: rows}


def _drop_rows(key: str) -> None:
    st.session_state[key] = []


def _draw_stored_choice(name: str, base: RunConfig) -> str:
    """Draw the control of a field that names something stored: a teacher or a set of digits."""
    none, names = _STORED[name]
    default = getattr(base, name)
    options = list(dict.fromkeys([none, default, *names()]))
    return st.selectbox(
        field_label(name),
        options,
        options.index(default),
        key=name,
        help=explain(name),
        **KEPT,
    )


def _draw_slider(name: str, base: RunConfig, disabled: bool = False) -> Any:
    limits = Limits.from_environment()
    most = {"batch_size": limits.max_batch_size, "epochs": limits.max_epochs}.get(
        name, float("inf")
    )
    default = getattr(base, name)
    options = sorted(
        {*(value for value in SLIDER_VALUES[name] if value <= most), default, *_held(name, most)}
    )
    return st.select_slider(
        field_label(name),
        options,
        value=default,
        key=name,
        format_func=lambda value: f"{value:g}",
        help=explain(name),
        disabled=disabled,
        **KEPT,
    )


def _held(name: str, most: float) -> list[float]:
    """The value of the session or the link, which a slider has as a position of its own."""
    held = st.session_state.get(name, st.query_params.get(name))
    try:
        value = FIELDS[name].check(FIELDS[name].parse(held) if isinstance(held, str) else held)
    except UserError:
        return []
    # The link holds a value as it is formatted.
    return [value] if value <= most and float(f"{value:g}") == value else []


def _draw_field(name: str, base: RunConfig) -> Any:
    if name in _STORED:
        return _draw_stored_choice(name, base)
    spec, default = FIELDS[name], getattr(base, name)
    common: dict[str, Any] = {"key": name, "help": explain(name), **KEPT}
    label = field_label(name)
    if spec.choices:
        return st.selectbox(label, spec.choices, index=spec.choices.index(default), **common)
    if spec.type is bool:
        return st.toggle(label, default, **common)
    low, high = spec.low or 0, spec.high or 0
    if spec.type is int:
        return st.number_input(label, int(low), int(high), default, **common)
    step = {"weight_decay": 1e-4, "ema_decay": 1e-3, "clip_norm": 0.5}.get(name, 0.01)
    return st.number_input(
        label, float(low), float(high), default, step=step, format="%g", **common
    )
