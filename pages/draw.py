"""Draw: sketch a digit and see, stroke by stroke, what the saved networks take it for."""

import numpy as np
import streamlit as st

from core.errors import UserError
from core.insight.drawing import strokes_to_ink, to_mnist
from core.insight.predictions import predict
from core.runs.run import Run
from pages.ui import checkpoints, pad, words
from pages.ui.frame import KEPT, page


@st.fragment
def sketch(runs: dict[str, Run]) -> None:
    """Pad and answers; only this runs again while a stroke is drawn, with the runs that the page found."""
    left, right = st.columns(2, gap="large")
    with left:
        strokes = pad.digit_pad()
    try:
        image = to_mnist(strokes_to_ink(strokes)) if strokes else None
    except UserError as error:
        st.error(str(error))
        return
    with right:
        if not runs:
            pad.readout(image, None, "This is what a network would see. There is none to ask yet.")
            st.page_link("pages/train.py", label="Train the Final recipe", icon=":material/arrow_forward:",
                         query_params={"start": "final"})
            return
        name = st.selectbox("Network", list(runs), index=list(runs).index("final") if "final" in runs else 0,
                            key="network", **KEPT)
        st.caption(", ".join(note(runs[name])))
        answer, said = ask(runs[name], image)
        pad.readout(image, answer, said)
    shown = {each: run for each, run in runs.items() if checkpoints.is_shipped(run) or each == name}
    if len(shown) > 1:
        st.subheader("All at once", anchor=False)
        pad.verdicts([(each, "\n".join(note(run)), ask(run, image)[0]) for each, run in shown.items()], name, choose)


def ask(run: Run, image: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """The ten probabilities that a run's network gives the image, if any, and what to say of them."""
    if image is None:
        return None, "Draw, and it answers while you do."
    try:
        answer = predict(checkpoints.model(run), image[None])[0]
    except UserError as error:
        return None, str(error)
    return answer, f"{run.name} is {sureness(answer)}."


def sureness(answer: np.ndarray) -> str:
    """How sure an answer is."""
    order = answer.argsort()[::-1]
    if answer[order[0]] >= 0.9:
        return f"{100 * answer[order[0]]:.1f} % sure"
    return f"torn between {order[0]} and {order[1]}"


def note(run: Run) -> tuple[str, str]:
    """A run in figures."""
    return f"{words.parameters(run):,} parameters", f"{words.accuracy(run)} right"


def choose() -> None:
    """Ask the network whose card was clicked."""
    st.session_state["network"] = st.session_state["verdicts"].picked


page("Draw", "Write a digit and watch the networks read it.")
sketch({run.name: run for run in checkpoints.trained()})
