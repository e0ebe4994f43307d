"""Glossary: the terms of the field, each with a picture and a link to where the app shows it."""

import streamlit as st

from core.charts import glossary
from pages.ui.components.drawing import draw_svg
from pages.ui.frame import page
from pages.ui.glossary.entries import ENTRIES
from pages.ui.model.editor import digit_examples
from pages.ui.words import capitalise

COLUMNS = 2

page("Glossary", "Twelve terms that the other pages use, in an order to read them.")
terms = list(ENTRIES)
for first in range(0, len(terms), COLUMNS):
    for column, term in zip(
        st.columns(COLUMNS, gap="medium"), terms[first : first + COLUMNS], strict=True
    ):
        entry = ENTRIES[term]
        with column.container(border=True, height="stretch"):
            st.header(capitalise(term), anchor=term.replace(" ", "-"))
            draw_svg(
                glossary.term_picture(term, digit_examples()),
                entry.picture,
                f"glossary_{first}_{term}",
            )
            st.markdown(entry.text)
            st.space("stretch")
            st.page_link(
                f"pages/{entry.page}.py",
                label=f":primary[{entry.link}]",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params=entry.query,
            )
