"""Data: the digits, statistics of them, a map, and augmentation."""

import streamlit as st

from pages.ui import dataset
from pages.ui.data import augmentation, digits, pca_map, statistics
from pages.ui.frame import KEPT, page

PARTS = {
    "Digits": digits.draw_browser,
    "Statistics": statistics.draw_statistics,
    "Map": pca_map.draw_map,
    "Augmentation": augmentation.draw_augmentation,
}


def go_to_first_digit() -> None:
    """Select the first digit, because the other set may be smaller."""
    st.session_state[digits.INDEX] = 0


page(
    "Data",
    "60,000 handwritten digits to train with, 10,000 to test with, and ways to augment them.",
    style="data/data.css",
)
augmentation.load_augmentation_library()
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
        on_change=go_to_first_digit,
        **KEPT,
    )
if sets := dataset.load_digits():
    PARTS[part](sets[name])
