"""The Draw page: a drawn digit or one of MNIST, the networks' predictions, and their reasons."""

import streamlit as st

from core.errors import UserError
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.readout import show_readout
from pages.ui.draw.familiarity import show_familiarity
from pages.ui.draw.networks import BESIDE, NETWORK, predict_digit, select_network
from pages.ui.draw.number import show_number
from pages.ui.draw.sources import select_source, show_subject
from pages.ui.draw.subject import PAD, Subject
from pages.ui.draw.views import DEFAULT_VIEW, VIEWS, show_view
from pages.ui.frame import KEPT, page
from pages.ui.words import capitalise, escape_markdown


@st.fragment
def show_drawing(runs: dict[str, Run]) -> None:
    """Show the digit, its prediction and one view of it; a stroke reruns only this fragment."""
    source, several = select_source()
    # Both places always exist: a bound widget that moves is dropped from the link.
    wide = st.container()
    left, right = st.columns(2, gap="large")
    with wide if source == PAD and several else left:
        try:
            subject = show_subject(source, several)
        except UserError as error:
            st.error(escape_markdown(capitalise(str(error))), icon=":material/error:")
            subject = Subject(several=several, waiting="")
    with right:
        if not runs:
            show_readout(
                subject.images[0] if subject.images else None,
                None,
                "This is the input of a network. No network is trained yet.",
            )
            checkpoints.draw_first_run_link()
            return
        run = select_network(runs)
    with left:
        position = show_number(run, subject) if several else 0
    with right:
        image = subject.images[position] if subject.images else None
        probabilities, message = predict_digit(run, image)
        if probabilities is not None and subject.label not in (None, probabilities.argmax()):
            message = f"{message} The label is {subject.label}."
        spoken = show_familiarity(subject, position)
        show_readout(image, probabilities, message or subject.waiting, spoken=spoken)
    st.space("small")
    view = (
        st.segmented_control(
            "View",
            list(VIEWS),
            default=DEFAULT_VIEW,
            required=True,
            key="view",
            label_visibility="collapsed",
            **KEPT,
        )
        or DEFAULT_VIEW
    )
    try:
        show_view(view, runs, run, subject, position)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")


page("Draw", "Draw a digit and watch networks classify it.", style="draw/draw.css")
show_drawing({run.name: run for run in checkpoints.listed_runs(NETWORK, BESIDE)})
