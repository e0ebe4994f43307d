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
    draft = inspect(rows.written())
    with bar.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        networks.start_from(draft.rows, kept)
        other = networks.beside(kept)
        st.space("stretch")
        networks.save(draft, kept)
        networks.train(draft)
    name = networks.called(draft.rows, kept)
    networks.said()
    shown = [views.Shown(networks.title(name), name or "network", draft)]
    if other:
        shown.append(
            views.Shown(networks.title(other), other, inspect(networks.rows_of(other, kept)))
        )
    with figures:
        st.caption(networks.told(name, kept))
        views.figures(shown)
    with table:
        heading(
            "Rows",
            "an image of 1 × 28 × 28 goes in at the top, ten scores have to come out at the end",
        )
        rows.table(draft)
    pictures(shown)
    networks.damaged(kept)


def pictures(shown: list[views.Shown]) -> None:
    """What the networks come to, drawn."""
    views.shapes(shown)
    left, right = (st.container(), st.container()) if len(shown) > 1 else st.columns(2, gap="large")
    with left:
        views.parameters(shown)
    with right:
        views.receptive_field(shown)
    views.summary(shown)


page(
    "Model",
    "A network is a list of rows. Change one, and see at once what it costs and what it sees.",
)
workshop()
