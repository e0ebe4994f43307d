"""What a network comes to, drawn: figures, shapes, parameters, receptive field and summary; of two, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.charts import diagrams
from core.models.drafts import Draft
from core.models.receptive_field import central_receptive_field
from core.models.rows import KINDS
from core.models.shapes import Layer, count_parameters
from core.models.summary import SummaryRow
from core.task import PARAMETER_BUDGET
from pages.ui import tables
from pages.ui.components.chart import draw_chart
from pages.ui.frame import KEPT, heading
from pages.ui.model.editor import digit_examples
from pages.ui.terms import explain

SIDE = diagrams.SIDE
DIGIT_CHOICES = [str(each) for each in range(10)]
_METRIC = 150  # pixels for one figure
SUMMARY_FORMS = ("table", "torchsummary")
_CSS = """
.drawing { overflow-x: auto; }
.drawing svg { display: block; max-width: 100%; height: auto; min-width: var(--least, 0); }
.drawing:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""
_JS = """
export default function ({ parentElement, data }) {
  let view = parentElement.querySelector(".drawing");
  if (!view) {
    view = document.createElement("div");
    view.className = "drawing";
    view.role = "img";
    parentElement.append(view);
  }
  view.ariaLabel = data.alt;
  view.tabIndex = data.wide ? 0 : -1;
  if (view.drawn === data.svg) return;
  view.innerHTML = view.drawn = data.svg;
  const svg = view.firstChild;
  const natural = svg.width.baseVal.value;
  svg.style.setProperty("--least", data.wide ? `${Math.min(natural, Math.max(704, 0.85 * natural))}px` : "0");
}
"""
_drawing = st.components.v2.component("inkling_drawing", html="<div></div>", css=_CSS, js=_JS)


@dataclass(frozen=True, slots=True)
class Shown:
    """A network on the page: its name there, its name in files, and its rows as they stand."""

    title: str
    name: str
    draft: Draft


def row_name(layer: Layer) -> str:
    """A row as lists and axes call it: `3 conv`."""
    return f"{layer.number} {layer.row['kind']}"


def draw_figures(networks: list[Shown]) -> None:
    """Parameters, multiply-adds and receptive field."""
    for column, shown in zip(st.columns(len(networks), gap="large"), networks, strict=True):
        summary = shown.draft.summary
        with column:
            if len(networks) > 1:
                st.markdown(f"##### {shown.title}")
            left = summary.left if summary else 0
            values = {
                "Parameters": (
                    f"{summary.total_params:,}" if summary else "–",
                    explain("parameters"),
                ),
                f"Left of {PARAMETER_BUDGET:,}": (
                    f"{left:,}".replace("-", "\u2212") if summary else "–",
                    "The goal is a network with fewer parameters than this.",
                ),
                "Multiply-adds": (
                    f"{summary.multiply_adds / 1e6:.2f} M" if summary else "–",
                    explain("multiply_adds"),
                ),
                "Receptive field": (
                    f"{summary.receptive_field} × {summary.receptive_field}" if summary else "–",
                    explain("receptive_field"),
                ),
            }
            with st.container(horizontal=True):
                for label, (value, help) in values.items():
                    st.metric(label, value, help=help, width=_METRIC)


def draw_shapes(networks: list[Shown]) -> None:
    """The image on its way through each network."""
    heading("Shapes", "a sheet for a channel, drawn to scale; blue: with learned numbers")
    for at, shown in enumerate(networks):
        draft = shown.draft
        if not draft.layers and not draft.errors:
            continue
        mistake = min(
            (number for number in draft.errors if number > len(draft.layers)), default=None
        )
        svg = diagrams.shapes(draft.layers, digit_examples()[chosen_digit()], mistake)
        if len(networks) > 1:
            st.caption(shown.title)
        steps = ", then ".join(diagrams.size(layer.output_shape) for layer in draft.layers)
        _drawing(
            key=f"shapes{at}",
            data={"svg": svg, "wide": True, "alt": f"Shapes: 1 × 28 × 28, then {steps}."},
        )


def draw_parameters(networks: list[Shown]) -> None:
    """Where the parameters are, against the budget."""
    from core.charts import models as charts

    most = max(count_parameters(shown.draft.layers) for shown in networks)
    for at, (column, shown) in enumerate(
        zip(st.columns(len(networks), gap="large"), networks, strict=True)
    ):
        frame = pd.DataFrame(
            [
                (row_name(layer), layer.parameters)
                for layer in shown.draft.layers
                if layer.parameters
            ],
            columns=["row", "parameters"],
        )
        with column:
            said = ", ".join(
                f"row {row}: {count:,}" for row, count in frame.itertuples(index=False)
            )
            draw_chart(
                charts.parameters(frame, PARAMETER_BUDGET, most),
                f"parameters{at}",
                title="Parameters",
                subtitle=f"{shown.title if len(networks) > 1 else 'row by row'}; dotted: the goal's {PARAMETER_BUDGET:,}",
                subject=shown.title,
                filename=f"{shown.name}-parameters",
                make_table=lambda frame=frame: frame,
                alt=f"Parameters of {shown.title}: {said}.",
            )


def draw_receptive_field(networks: list[Shown]) -> None:
    """What an output of a row sees of a digit."""
    heading("Receptive field", "what the middle output of a row sees")
    margin = max(
        [diagrams.reach(shown.draft.layers) for shown in networks if shown.draft.layers], default=0
    )
    for at, (column, shown) in enumerate(
        zip(st.columns(len(networks), gap="large"), networks, strict=True)
    ):
        layers = shown.draft.layers
        if not layers:
            continue
        with column:
            if len(networks) > 1:
                st.caption(shown.title)
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
                if at == 0:
                    st.selectbox("Digit", DIGIT_CHOICES, 3, key="over", width=90, **KEPT)
                number = _row(layers, at)
            layer, seen = layers[number - 1], chosen_digit()
            said = _sees(layers, layer)
            svg = diagrams.field(layers, number, digit_examples()[seen], margin)
            _drawing(
                key=f"field{at}",
                data={"svg": svg, "wide": False, "alt": f"A {seen} and a square on it. {said}"},
            )
            st.caption(said)


def chosen_digit() -> int:
    """The digit that the pictures show."""
    chosen = st.session_state.get("over")
    return int(chosen) if chosen in DIGIT_CHOICES else 3


def _row(layers: tuple[Layer, ...], at: int) -> int:
    options = [row_name(layer) for layer in layers]
    if len(options) == 1:
        return 1
    # The last row that still has a picture says more than the end, which mostly sees everything.
    usual = max(
        [
            layer.number
            for layer in layers
            if len(layer.output_shape) == 3 and layer.output_shape[1] > 1
        ]
        or [1]
    )
    return 1 + options.index(
        st.select_slider("Row", options, options[usual - 1], key=f"upto{at or ''}", **KEPT)
    )


def _sees(layers: tuple[Layer, ...], layer: Layer) -> str:
    field, side = central_receptive_field(layers, layer.number), layer.receptive_field
    count = diagrams.size(layer.output_shape[1:])
    apart = (
        ""
        if layer.output_shape[1:] in ((), (1, 1))
        else f", and its {count} outputs (dots) are {layer.jump} pixel{'s' * (layer.jump > 1)} apart"
    )
    words = f"Row {layer.number}, {KINDS[layer.row['kind']].title.lower()}, sees {side} × {side} pixels{apart}."
    if side > SIDE:
        return (
            f"{words} That is more than the image's {SIDE} × {SIDE}: what lies outside is padding."
        )
    if field.exceeds_image:
        return f"{words} Part of it lies outside the image, where there is only padding."
    return words


def draw_summary(networks: list[Shown]) -> None:
    """The summary as a table or as torchsummary prints it, with the table to take away."""
    with st.container(horizontal=True, vertical_alignment="center"):
        heading("Summary", "module by module")
        form = st.segmented_control(
            "Form",
            SUMMARY_FORMS,
            default=SUMMARY_FORMS[0],
            required=True,
            key="form",
            label_visibility="collapsed",
            **KEPT,
        )
    for at, (column, shown) in enumerate(
        zip(st.columns(len(networks), gap="large"), networks, strict=True)
    ):
        found = shown.draft.summary
        with column:
            if len(networks) > 1:
                st.caption(shown.title)
            if found is None:
                st.markdown(":gray[The summary comes as soon as every row is right.]")
                continue
            if form == SUMMARY_FORMS[0]:
                tables.draw_summary_table(found)
            elif len(networks) > 1:
                st.html(
                    f'<pre class="sheet" style="font-size: 0.65rem; margin: 0">{found.text()}</pre>'
                )
            else:
                st.code(found.text(), language=None)
            with st.container(horizontal=True):
                # Made when asked for: rows change quickly, and a file that is gone again is an error to a browser.
                st.download_button(
                    "Layers as CSV",
                    lambda layers=found.layers: _csv(layers),
                    f"{shown.name}-layers.csv",
                    "text/csv",
                    icon=":material/download:",
                    type="tertiary",
                    key=f"csv{at}",
                )
                st.download_button(
                    "Shapes as SVG",
                    lambda rows=found.rows: diagrams.shapes(rows, digit_examples()[3]),
                    f"{shown.name}-shapes.svg",
                    "image/svg+xml",
                    icon=":material/download:",
                    type="tertiary",
                    key=f"svg{at}",
                )


def _csv(layers: tuple[SummaryRow, ...]) -> str:
    rows = [
        {**layer.to_dict(), "output_shape": "x".join(map(str, layer.output_shape))}
        for layer in layers
    ]
    return pd.DataFrame(rows).to_csv(index=False)
