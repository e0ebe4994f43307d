"""The choice of a recipe: by name, or from a list with a line on each."""

from __future__ import annotations

import streamlit as st

from core.recipes import GROUPS, RECIPES
from pages.ui.controls import DEFAULT_RECIPE, field_label, find_own_rows, set_recipe
from pages.ui.frame import KEPT, warn_unknown

_LIST = "train_recipe_list"  # key of the popover, whose state is kept so that a click can close it


def draw_recipe_control() -> str:
    """Draw the choice of a recipe, and return its name."""
    names = list(RECIPES)
    warn_unknown("recipe", names, "recipe")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        recipe = st.selectbox(
            "Recipe",
            names,
            index=names.index(DEFAULT_RECIPE),
            key="recipe",
            on_change=lambda: set_recipe(st.session_state["recipe"]),
            help="A named set of settings. Choosing one sets all controls below.",
            **KEPT,
        )
        popover = st.popover("All recipes", icon=":material/list:", key=_LIST, on_change="rerun")
        if popover.open:
            with popover:
                _draw_list()
    st.caption(RECIPES[recipe].summary)
    if own := find_own_rows():
        kept = " and ".join(field_label(control).lower() for control in own)
        st.caption(
            f":material/info: Your own {kept} stays; below, you can go back to the recipe's."
        )
    return recipe


def _draw_list() -> None:
    for group in GROUPS:
        st.markdown(f"## {group}")
        with st.container(gap="xxsmall", width=620):
            for name, recipe in RECIPES.items():
                if recipe.group == group:
                    st.button(
                        f"**{recipe.title}** :gray[{recipe.summary}]",
                        key=f"train_recipe_{name}",
                        type="tertiary",
                        on_click=_choose,
                        args=(name,),
                        wrap=True,
                    )


def _choose(name: str) -> None:
    set_recipe(name)
    st.session_state[_LIST] = False
