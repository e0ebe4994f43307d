"""Views of one network, or of two side by side: size, shapes, receptive field, summary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from core.charts import diagrams
from core.models.drafts import Draft
from core.models.receptive_field import central_receptive_field
from core.models.rows import KINDS
from core.models.shapes import Layer, count_parameters
from core.models.summary import SummaryRow
from core.task import CLASSES, PARAMETER_BUDGET
from pages.ui import tables
from pages.ui.components.chart import draw_chart
from pages.ui.components.drawing import draw_svg
from pages.ui.frame import KEPT, heading
from pages.ui.model.editor import digit_examples
from pages.ui.terms import explain
from pages.ui.words import escape_markdown, plural

SIDE = diagrams.SIDE
DIGIT_CHOICES = [str(digit) for digit in range(CLASSES)]
_METRIC = 150  # width of a metric in pixels
SUMMARY_FORMS = ("table", "torchsummary")


@dataclass(frozen=True, slots=True)
class Network:
    """A network on the page: its title, its name in filenames, and its rows."""

    title: str
    name: str
    draft: Draft


def row_name(layer: Layer) -> str:
    """Name of a row in lists and on axes: `3 conv`."""
    return f"{layer.number} {layer.row['kind']}"


def draw_figures(networks: list[Network]) -> None:
    """Draw parameters, multiply-adds and receptive field."""
    for column, network in zip(st.columns(len(networks), gap="large"), networks, strict=True):
        summary = network.draft.summary
        with column:
            if len(networks) > 1:
                st.markdown(f"## {escape_markdown(network.title)}")
            left = summary.left if summary else 0
            values = {
                "Parameters": (
                    f"{summary.total_params:,}" if summary else "–",
                    explain("parameters"),
                ),
                f"Left of {PARAMETER_BUDGET:,}": (
                    f"{left:,}".replace("-", "\u2212") if summary else "–",
                    "The goal asks for fewer parameters than this.",
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


def draw_shapes(networks: list[Network]) -> None:
    """Draw the shape of the image after each row."""
    heading("Shapes", "one sheet per channel, to scale; blue: layers with parameters")
    for at, network in enumerate(networks):
        draft = network.draft
        if not draft.layers and not draft.errors:
            continue
        mistake = min(
            (number for number in draft.errors if number > len(draft.layers)), default=None
        )
        svg = diagrams.shape_diagram(draft.layers, digit_examples()[chosen_digit()], mistake)
        if len(networks) > 1:
            st.caption(escape_markdown(network.title))
        steps = ", then ".join(diagrams.format_shape(layer.output_shape) for layer in draft.layers)
        draw_svg(svg, f"Shapes: 1 × 28 × 28, then {steps}.", f"model_shapes{at}", wide=True)


def draw_parameters(networks: list[Network]) -> None:
    """Draw the parameters of each row, against the budget."""
    from core.charts import models as charts

    most = max(count_parameters(network.draft.layers) for network in networks)
    for at, (column, network) in enumerate(
        zip(st.columns(len(networks), gap="large"), networks, strict=True)
    ):
        frame = pd.DataFrame(
            [
                (row_name(layer), layer.parameters)
                for layer in network.draft.layers
                if layer.parameters
            ],
            columns=["row", "parameters"],
        )
        with column:
            counts = ", ".join(
                f"row {row}: {count:,}" for row, count in frame.itertuples(index=False)
            )
            draw_chart(
                charts.parameter_chart(frame, PARAMETER_BUDGET, most),
                f"model_parameters{at}",
                title="Parameters",
                subtitle=f"{network.title if len(networks) > 1 else 'by row'}; "
                f"dotted: the budget of {PARAMETER_BUDGET:,}",
                subject=network.title,
                filename=f"{network.name}-parameters",
                make_table=frame.copy,
                alt=f"Parameters of {network.title}: {counts}.",
            )


def draw_receptive_field(networks: list[Network]) -> None:
    """Draw the receptive field of a row's central output, on a digit."""
    heading("Receptive field", "of the central output of a row")
    margin = max(
        [
            diagrams.field_margin(network.draft.layers)
            for network in networks
            if network.draft.layers
        ],
        default=0,
    )
    for at, (column, network) in enumerate(
        zip(st.columns(len(networks), gap="large"), networks, strict=True)
    ):
        layers = network.draft.layers
        if not layers:
            continue
        with column:
            if len(networks) > 1:
                st.caption(escape_markdown(network.title))
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
                if at == 0:
                    st.selectbox("Digit", DIGIT_CHOICES, 3, key="over", width=90, **KEPT)
                number = _row(layers, at)
            layer, seen = layers[number - 1], chosen_digit()
            description = _describe_field(layers, layer)
            svg = diagrams.receptive_field_diagram(layers, number, digit_examples()[seen], margin)
            draw_svg(
                svg,
                f"A {seen} with the receptive field as a square. {description}",
                f"model_field{at}",
            )
            st.caption(description)


def chosen_digit() -> int:
    """The digit that the drawings show."""
    chosen = st.session_state.get("over")
    return int(chosen) if chosen in DIGIT_CHOICES else 3


def _row(layers: tuple[Layer, ...], at: int) -> int:
    options = [row_name(layer) for layer in layers]
    if len(options) == 1:
        return 1
    # The default is the last row with a feature map; later rows mostly depend on the whole image.
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


def _describe_field(layers: tuple[Layer, ...], layer: Layer) -> str:
    field, side = central_receptive_field(layers, layer.number), layer.receptive_field
    count = diagrams.format_shape(layer.output_shape[1:])
    apart = (
        ""
        if layer.output_shape[1:] in ((), (1, 1))
        else f"; its {count} outputs (dots) are {plural(layer.jump, 'pixel')} apart"
    )
    kind = KINDS[layer.row["kind"]].title.lower()
    words = f"Row {layer.number} ({kind}): receptive field of {side} × {side} pixels{apart}."
    if side > SIDE:
        return f"{words} It is larger than the image of {SIDE} × {SIDE}: the rest is padding."
    if field.exceeds_image:
        return f"{words} Part of it is padding outside the image."
    return words


def draw_summary(networks: list[Network]) -> None:
    """Draw the summary as a table or as torchsummary prints it, with downloads."""
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
    for at, (column, network) in enumerate(
        zip(st.columns(len(networks), gap="large"), networks, strict=True)
    ):
        summary = network.draft.summary
        with column:
            if len(networks) > 1:
                st.caption(escape_markdown(network.title))
            if summary is None:
                st.markdown(":gray[The summary appears once all rows are valid.]")
                continue
            if form == SUMMARY_FORMS[0]:
                tables.draw_summary_table(summary)
            elif len(networks) > 1:
                st.html(
                    '<pre class="sheet" style="font-size: 0.65rem; margin: 0">'
                    f"{summary.text()}</pre>"
                )
            else:
                st.code(summary.text(), language=None)
            with st.container(horizontal=True):
                # Made on click: rows change quickly, and a link to a replaced file fails.
                st.download_button(
                    "Layers as CSV",
                    partial(_csv, summary.layers),
                    f"{network.name}-layers.csv",
                    "text/csv",
                    icon=":material/download:",
                    type="tertiary",
                    key=f"model_csv{at}",
                )
                st.download_button(
                    "Shapes as SVG",
                    partial(diagrams.shape_diagram, summary.rows, digit_examples()[3]),
                    f"{network.name}-shapes.svg",
                    "image/svg+xml",
                    icon=":material/download:",
                    type="tertiary",
                    key=f"model_svg{at}",
                )


def _csv(layers: tuple[SummaryRow, ...]) -> str:
    rows = [
        {**layer.to_dict(), "output_shape": "x".join(map(str, layer.output_shape))}
        for layer in layers
    ]
    return pd.DataFrame(rows).to_csv(index=False)
