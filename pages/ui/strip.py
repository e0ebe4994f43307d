"""Ten real digits in a row, in the page's ink."""

from __future__ import annotations

import base64
from pathlib import Path

import streamlit as st

STRIP = Path(__file__).with_name("digits.png")


def strip() -> None:
    """The digits 0 to 9, one of each."""
    pixels = base64.b64encode(STRIP.read_bytes()).decode()
    st.html(f'<div class="strip" role="img" aria-label="Ten handwritten digits, 0 to 9" '
            f'style="mask-image: url(data:image/png;base64,{pixels})"></div>')
