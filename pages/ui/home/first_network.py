"""Home's way to a first network: three controls, an estimate of the time, and the start."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import streamlit as st

from core.config import RunConfig
from core.errors import UserError
from core.experiments import time_estimate
from core.models.architectures import ARCHITECTURES
from core.models.shapes import count_parameters, trace
from core.runs import creation, run_names, run_queue
from core.runs.run import Run
from pages.ui import access, checkpoints, dataset
from pages.ui.controls import RUN
from pages.ui.polling import interval_while_visible
from pages.ui.terms import explain
from pages.ui.words import escape_markdown, format_duration

POLL = 2.0  # seconds
NAME = "first-network"
# Title of each choice -> architecture.
NETWORKS = {
    "One layer": "linear-7850",
    "Four convolutions": "unshuffle-7786",
    "Nine convolutions": "original-3762",
}
DEFAULT_NETWORK = "Four convolutions"
EPOCHS = (1, 2, 3, 5, 8)
DEFAULT_EPOCHS = 5
# Title of each choice -> peak learning rate.
RATES = {"small": 0.003, "medium": 0.1, "large": 2.0}
_BASE = RunConfig(
    schedule="one-cycle", initialisation="he", momentum=0.9, batch_size=128, augmentation="none"
)


def first_config(network: str, epochs: int, rate: str) -> RunConfig:
    """The config that the three controls describe."""
    peak = RATES[rate]
    return _BASE.changed(architecture=NETWORKS[network], epochs=epochs, lr=peak, max_lr=peak)


def draw_first_network(runs: Sequence[Run]) -> None:
    """Draw the controls, in an expander that is open until somebody has trained a network.

    Args:
        runs: all runs, the newest first.
    """
    own = [run for run in runs if not checkpoints.is_shipped(run)]
    opened = st.expander(
        "Train your first network",
        expanded=not own,
        key="home_first",
        icon=":material/model_training:",
        on_change="rerun",
    )
    if opened.open:
        with opened:
            _draw_controls(own)


@st.fragment
def _draw_controls(own: Sequence[Run]) -> None:
    st.markdown(
        "A network learns to read handwritten digits from 60,000 examples. Make three choices, "
        "start, and watch it learn; then see its mistakes and draw digits for it.",
        width=720,
    )
    with st.container(horizontal=True, gap="medium"):
        network = st.segmented_control(
            "Network",
            list(NETWORKS),
            default=DEFAULT_NETWORK,
            required=True,
            key="home_network",
            help=explain("architecture"),
            wrap=True,
        )
        epochs = st.select_slider(
            "Epochs", EPOCHS, DEFAULT_EPOCHS, key="home_epochs", help=explain("epochs"), width=170
        )
        rate = st.segmented_control(
            "Learning rate",
            list(RATES),
            default="medium",
            required=True,
            key="home_rate",
            help=explain("lr"),
        )
    config = first_config(network, epochs, rate)
    layers = trace(ARCHITECTURES[config.architecture].rows)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        refusal = access.why_not_create()
        pressed = st.button(
            "Start training",
            type="primary",
            icon=":material/play_arrow:",
            key="home_start",
            disabled=bool(refusal),
            help=refusal or None,
        )
        parameters = f"{count_parameters(layers):,} parameters"
        measuring = _is_measuring(config, own)
        st.fragment(_draw_estimate, run_every=interval_while_visible(POLL) if measuring else None)(
            config, own, parameters, measuring
        )
    if pressed and dataset.load_digits():
        _start(config)


def _draw_estimate(config: RunConfig, own: Sequence[Run], parameters: str, measuring: bool) -> None:
    if measuring and not _is_measuring(config, own):
        st.rerun()  # the whole page, which then stops polling
    seconds = time_estimate.estimate_seconds(config, own)
    if seconds is not None:
        estimate = f"about {format_duration(seconds)} on this machine"
    elif measuring:
        estimate = "measuring how fast this machine is"
    else:
        estimate = "the time is shown once training has begun"
    st.markdown(f":gray[{parameters}, {estimate}]", width="content")


def _is_measuring(config: RunConfig, own: Sequence[Run]) -> bool:
    """Whether the time of a step is being measured; starts the measurement where none is known."""
    if time_estimate.estimate_seconds(config, own) is not None:
        return False
    return not start_measurement(config.architecture, config).done()


@st.cache_resource(max_entries=8, show_spinner=False)
def start_measurement(architecture: str, _config: RunConfig) -> Future[None]:
    """Measure the time of a step in the background, once per server and network."""
    return _pool().submit(time_estimate.measure_step, _config)


@st.cache_resource(max_entries=1, show_spinner=False)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "measurement")


def _start(config: RunConfig) -> None:
    """Create the run, queue it, and open it on Train."""
    try:
        access.check_create()
        run = creation.create_run(config, run_names.find_free_name(NAME), owner=access.owner_name())
        run_queue.submit(run.name)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    else:
        st.session_state[RUN] = run.name
        st.switch_page("pages/train.py", query_params={RUN: run.name})
