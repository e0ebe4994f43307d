"""Model: choose a network or write it row by row, and see what it comes to."""

import streamlit as st

from core.library import architectures as own_architectures
from core.models.drafts import inspect
from pages.ui.frame import heading, page
from pages.ui.model import editor as rows
from pages.ui.model import library as networks
from pages.ui.model import views


@st.fragment
def workshop() -> None:
    kept = own_architectures.list_saved()
    bar, figures, table = (st.container() for _ in range(3))
    draft = inspect(rows.read_rows())
    with bar.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        networks.draw_start_control(draft.rows, kept)
        other = networks.draw_compare_control(kept)
        st.space("stretch")
        networks.draw_save_popover(draft, kept)
        networks.draw_train_button(draft)
    name = networks.matching_name(draft.rows, kept)
    networks.show_messages()
    shown = [views.Shown(networks.network_title(name), name or "network", draft)]
    if other:
        shown.append(
            views.Shown(
                networks.network_title(other), other, inspect(networks.rows_of(other, kept))
            )
        )
    with figures:
        st.caption(networks.describe_network(name, kept))
        views.draw_figures(shown)
    with table:
        heading(
            "Rows",
            "an image of 1 × 28 × 28 goes in at the top, ten scores have to come out at the end",
        )
        rows.draw_rows_table(draft)
    pictures(shown)
    networks.show_damaged_files(kept)


def pictures(shown: list[views.Shown]) -> None:
    """What the networks come to, drawn."""
    views.draw_shapes(shown)
    left, right = (st.container(), st.container()) if len(shown) > 1 else st.columns(2, gap="large")
    with left:
        views.draw_parameters(shown)
    with right:
        views.draw_receptive_field(shown)
    views.draw_summary(shown)


page(
    "Model",
    "A network is a list of rows. Change one, and see at once what it costs and what it sees.",
)
workshop()
