"""Links to Train with every setting, and lessons: links that a teacher gives to a class.

A lesson may name the runs of a class, require a name, fix all settings but some, and give everybody
another random seed. It stays in the session, so that it outlives a visit to another page.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import streamlit as st

from core.config import FIELDS, RunConfig
from core.data import transform_text
from core.errors import UserError
from core.experiments.settings import find_nearest_recipe
from core.limits import Limits
from core.models import row_text
from core.recipes import RECIPES
from core.runs.config_file import parse_config, write_config
from core.runs.run import Run
from core.runs.run_schema import clean_text
from core.training.plan import plan
from pages.ui.components.copy_link import draw_copy_link
from pages.ui.controls import CUSTOM_ROWS, DEFAULT_RECIPE, field_label, set_controls
from pages.ui.train import fork
from pages.ui.words import escape_markdown

PREFIX, ASK, CONTROLS, SEEDS = KEYS = ("prefix", "ask", "controls", "seeds")
NAME, EACH = "name", "each"  # values of ASK and SEEDS
RECIPE = "recipe"
MAX_PREFIX = 30  # of 60 characters of a run's name
_LESSON, _SEED = "train_lesson", "train_own_seed"  # session keys
PUPIL = "train_pupil"  # session key: the name under which the last run was started
SEED_LIMIT = 1_000_000
_FILES, _PROBLEM = "train_config_files", "train_config_problem"  # session keys
_ROW_TEXTS = {"layers": row_text.to_text, "transforms": transform_text.to_text}


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a link asks of those who open it; an empty one asks nothing."""

    prefix: str = ""
    """Begins the names of the runs, which are also tagged with it."""
    asks_name: bool = False
    own_seeds: bool = False
    controls: tuple[str, ...] = ()
    """The fields that have a control, with "recipe" for the recipe; empty: all."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """The link's values of the fields without a control, as text."""

    @classmethod
    def from_link(cls, link: Mapping[str, str]) -> Lesson:
        """The lesson in a link; what cannot be understood is left out."""
        names = link.get(CONTROLS, "").split(",")
        controls = tuple(name for name in (RECIPE, *FIELDS) if name in names)
        hidden = [name for name in (RECIPE, *FIELDS) if controls and name not in controls]
        return cls(
            clean_text(link.get(PREFIX, ""), MAX_PREFIX),
            link.get(ASK) == NAME,
            link.get(SEEDS) == EACH,
            controls,
            {name: link[name] for name in hidden if name in link},
        )

    def to_link(self) -> dict[str, str]:
        """The lesson's part of a link."""
        parts = {
            PREFIX: self.prefix,
            ASK: NAME if self.asks_name else "",
            SEEDS: EACH if self.own_seeds else "",
            CONTROLS: ",".join(self.controls),
            **self.fixed,
        }
        return {name: text for name, text in parts.items() if text}

    @property
    def recipe(self) -> str:
        """The recipe that the link fixes; empty: none, or an unknown one."""
        name = self.fixed.get(RECIPE, DEFAULT_RECIPE)
        return name if RECIPE not in self.controls and self.controls and name in RECIPES else ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of its runs."""
        return (self.prefix,) if self.prefix else ()

    def fix(self, base: RunConfig) -> RunConfig:
        """The config with the fixed settings, and this session's own seed.

        Raises:
            ConfigError: the link's values are not valid.
        """
        texts = {
            name: text
            for name, text in self.fixed.items()
            if name != RECIPE and name not in _ROW_TEXTS
        }
        fixed = RunConfig.from_strings(texts, base)
        for control, (key, name) in CUSTOM_ROWS.items():
            if (
                self.controls
                and control not in self.controls
                and (rows := st.session_state.get(key))
            ):
                fixed = fixed.changed(**{name: rows})
        return fixed.changed(seed=_own_seed()) if self.own_seeds else fixed


def _own_seed() -> int:
    """The random seed of this session, drawn once."""
    seed: int = st.session_state.setdefault(_SEED, 1 + secrets.randbelow(SEED_LIMIT))
    return seed


def open_lesson() -> Lesson:
    """The lesson of the link, or of the session; the link shows it again."""
    link = st.query_params.to_dict()
    if any(key in link for key in KEYS):
        lesson = Lesson.from_link(link)
        before: Lesson | None = st.session_state.get(_LESSON)
        if before is not None and before.to_link().items() >= lesson.to_link().items():
            lesson = before  # what is fixed left the link with its controls
        st.session_state[_LESSON] = lesson
    lesson = st.session_state.get(_LESSON, Lesson())
    for name, text in lesson.to_link().items():
        st.query_params.setdefault(name, text)
    return lesson


def leave_lesson() -> None:
    """Forget the lesson; what it fixed becomes ordinary settings of the link."""
    st.session_state.pop(_LESSON, None)
    for key in KEYS:
        st.query_params.pop(key, None)


def draw_lesson(lesson: Lesson) -> None:
    """Say what a lesson asks; nothing without one."""
    if lesson == Lesson():
        return
    parts = [f"Lesson **{escape_markdown(lesson.prefix)}**."] if lesson.prefix else []
    if lesson.asks_name:
        parts.append("Enter your name beside Start.")
    if lesson.controls:
        parts.append("The link fixes the other settings.")
    if lesson.own_seeds:
        parts.append(f"Your random seed: {_own_seed()}.")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/school: {' '.join(parts)}", width="stretch")
        if lesson.prefix:
            st.page_link(
                "pages/board.py",
                label="Board",
                icon=":material/leaderboard:",
                query_params={"board": lesson.prefix},
            )
        st.button(
            "Leave lesson",
            key="train_leave_lesson",
            type="tertiary",
            icon=":material/close:",
            on_click=leave_lesson,
            help="Shows all controls again.",
        )


def draw_link_menu(config: RunConfig, recipe: str | None, parent: Run | None) -> None:
    """Draw the menu that makes a link to this set-up, for oneself or for a class."""
    with st.popover("Share", icon=":material/share:", key="train_link"):
        st.markdown("**Link** :gray[:small[with every setting]]")
        prefix = st.text_input(
            "Name prefix",
            key="train_link_prefix",
            max_chars=MAX_PREFIX,
            placeholder="such as class-7b",
            help="Runs started from the link are named and tagged with it; Board lists them.",
        )
        asks = st.toggle("Require a name", key="train_link_ask")
        own = st.toggle(
            "Another random seed for each",
            key="train_link_seeds",
            help="Otherwise everybody's run has the same random seed.",
        )
        controls = st.multiselect(
            "Controls to show",
            [RECIPE, *(name for name in FIELDS if name not in _ROW_TEXTS)],
            key="train_link_controls",
            format_func=lambda name: "Recipe" if name == RECIPE else field_label(name),
            placeholder="All",
            help="The settings without a control are fixed by the link.",
        )
        lesson = Lesson(clean_text(prefix, MAX_PREFIX), asks, own, tuple(controls))
        link = settings_link(config, recipe, parent) | lesson.to_link()
        if own:
            link.pop("seed", None)
        draw_copy_link("train_copy_link", urlencode(link), shown=True)
        _draw_files(config, recipe or str(parent and parent.name))


def _draw_files(config: RunConfig, name: str) -> None:
    """Draw the buttons that save the settings as JSON, and read them from a file."""
    st.markdown("**File** :gray[:small[the settings as JSON]]")
    st.download_button(
        "Save settings",
        lambda: write_config(config),
        f"{name}-config.json",
        "application/json",
        key="train_save_config",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
    # A new key empties the uploader after each file.
    key = f"train_config_{st.session_state.setdefault(_FILES, 0)}"
    st.file_uploader(
        "Open settings", "json", key=key, on_change=_open_file, args=(key,), max_upload_size=1
    )
    if problem := st.session_state.get(_PROBLEM):
        st.error(escape_markdown(problem), icon=":material/error:")


def _open_file(key: str) -> None:
    """Set the controls to the settings of the file."""
    file = st.session_state.get(key)
    if file is None:
        return
    try:
        config = parse_config(file.getvalue(), file.name[:80])
        plan(config, Limits.from_environment())
    except UserError as error:
        st.session_state[_PROBLEM] = str(error)
    else:
        st.session_state[_PROBLEM] = ""
        fork.drop_fork()
        set_controls(config)
        st.session_state["recipe"] = find_nearest_recipe(config)
        st.toast(
            escape_markdown(f"The controls have the settings of {file.name[:80]}."),
            icon=":material/check:",
        )
    st.session_state[_FILES] += 1


def settings_link(config: RunConfig, recipe: str | None, parent: Run | None) -> dict[str, str]:
    """The values in a link that make this config, whatever the session of its reader holds.

    Args:
        config: the config.
        recipe: the recipe that it is compared with; None: that of the parent counts.
        parent: of a fork.
    """
    if parent is not None:
        link, base = {"fork": parent.name}, parent.config
    else:
        link, base = {RECIPE: str(recipe)}, RECIPES[str(recipe)].config
    for name, (value, _) in config.differences(base).items():
        if name in _ROW_TEXTS:
            if value:
                link[name] = _ROW_TEXTS[name](value)
        else:
            link[name] = _text(value)
    return link | {"seed": _text(config.seed)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)
