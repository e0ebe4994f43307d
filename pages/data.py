"""Data: the digits themselves, and what augmentation makes of them."""

import streamlit as st

from pages.ui import dataset
from pages.ui.data import augmentation as studio
from pages.ui.data import digits
from pages.ui.frame import KEPT, page

PARTS = {
    "Digits": digits.draw_browser,
    "Statistics": digits.draw_statistics,
    "Map": digits.draw_map,
    "Augmentation": studio.draw_augmentation,
}


def from_start() -> None:
    """Turn to the first digit: the other set may have none in that place."""
    st.session_state["index"] = 0


page(
    "Data",
    "60,000 handwritten digits to learn from (training), 10,000 that networks never learn from (test), "
    "and ways to make more of them.",
    style="data/data.css",
)
studio.load_augmentation_library()
with st.container(horizontal=True, gap="medium"):
    part = st.segmented_control(
        "Part",
        list(PARTS),
        default="Digits",
        required=True,
        key="part",
        label_visibility="collapsed",
        **KEPT,
    )
    name = st.segmented_control(
        "Images",
        dataset.SETS,
        default=dataset.SETS[0],
        required=True,
        key="set",
        label_visibility="collapsed",
        on_change=from_start,
        **KEPT,
    )
if sets := dataset.load_digits():
    PARTS[part](sets[name])
