"""Draw: a digit of one's own or of MNIST, what the saved networks take it for, and why."""

import streamlit as st

from core.errors import UserError
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.readout import show_readout
from pages.ui.draw import networks as draw_networks
from pages.ui.draw import number as draw_number
from pages.ui.draw import subject as draw_subject
from pages.ui.draw import views as draw_views
from pages.ui.draw.subject import DRAWING, Subject
from pages.ui.frame import KEPT, page
from pages.ui.words import capitalise


@st.fragment
def sketch(runs: dict[str, Run]) -> None:
    """The digit, the answer and one view of it; only this runs again while a stroke is drawn."""
    source, several = draw_subject.choose()
    wide = st.container()  # always there: bound widgets that move are cut off from the link
    left, right = st.columns(2, gap="large")
    with wide if source == DRAWING and several else left:  # a wide pad takes the whole width
        try:
            subject = draw_subject.look(source, several)
        except UserError as error:
            st.error(capitalise(str(error)), icon=":material/error:")
            subject = Subject(several=several, waiting="")
    with right:
        if not runs:
            show_readout(
                subject.images[0] if subject.images else None,
                None,
                "This is what a network would see. There is none to ask yet.",
            )
            st.page_link(
                "pages/train.py",
                label="Train the Final recipe",
                icon=":material/arrow_forward:",
                query_params={"start": "final"},
            )
            return
        run = draw_networks.chosen(runs)
    with left:
        at = draw_number.read(run, subject) if several else 0
    with right:
        image = subject.images[at] if subject.images else None
        answer, said = draw_networks.ask(run, image)
        if (
            subject.label is not None
            and answer is not None
            and int(answer.argmax()) != subject.label
        ):
            said = f"{said} The label says {subject.label}."
        show_readout(image, answer, said or subject.waiting)
    st.space("small")
    view = st.segmented_control(
        "View",
        list(draw_views.VIEWS),
        default=draw_views.FIRST,
        required=True,
        key="view",
        label_visibility="collapsed",
        **KEPT,
    )
    try:
        draw_views.show(view, runs, run, subject, at)
    except UserError as error:
        st.error(str(error), icon=":material/error:")


page("Draw", "Write a digit and watch the networks read it.", style="draw/draw.css")
sketch({run.name: run for run in checkpoints.trained_runs()})
