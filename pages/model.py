"""Model: choose a network or edit its rows, and see its shapes, parameters and receptive field."""

import streamlit as st

from core.library import architectures
from core.models.drafts import inspect
from pages.ui.frame import heading, page
from pages.ui.model import editor, library, views


@st.fragment
def draw_workshop() -> None:
    """Draw the editor of a network, and everything that follows from its rows."""
    saved = architectures.list_saved()
    bar, figures, table = (st.container() for _ in range(3))
    draft = inspect(editor.read_rows())
    with bar.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        library.draw_start_control(draft.rows, saved)
        other = library.draw_compare_control(saved)
        st.space("stretch")
        library.draw_save_popover(draft, saved)
        library.draw_train_button(draft)
    name = library.matching_name(draft.rows, saved)
    library.show_messages()
    networks = [views.Network(library.network_title(name), name or "network", draft)]
    if other:
        other_draft = inspect(library.rows_of(other, saved))
        networks.append(views.Network(library.network_title(other), other, other_draft))
    with figures:
        st.caption(library.describe_network(name, saved))
        views.draw_figures(networks)
    with table:
        heading(
            "Rows", "the image of 1 × 28 × 28 enters at the top, ten scores leave at the bottom"
        )
        editor.draw_rows_table(draft)
    draw_views(networks)
    library.show_damaged_files(saved)


def draw_views(networks: list[views.Network]) -> None:
    """Draw one network, or two side by side."""
    views.draw_shapes(networks)
    left, right = (
        (st.container(), st.container()) if len(networks) > 1 else st.columns(2, gap="large")
    )
    with left:
        views.draw_parameters(networks)
    with right:
        views.draw_receptive_field(networks)
    views.draw_summary(networks)


page(
    "Model",
    "A network is a list of rows. Change a row, and see its effect on size, shapes and receptive "
    "field at once.",
)
draw_workshop()
