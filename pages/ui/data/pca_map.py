"""Map of the dataset: a sample of digits, placed by their principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.charts.sprites import digit_pngs
from core.data.labelled_images import LabelledImages
from core.insight import digits as insight
from pages.ui.components.chart import draw_chart
from pages.ui.components.gallery import draw_gallery
from pages.ui.data.digits import draw_class_control
from pages.ui.frame import KEPT, heading

if TYPE_CHECKING:
    from core.insight.digits import PcaMap

AXES = ("1 and 2", "1 and 3", "2 and 3", "3 and 4", "5 and 6")
# Theme -> colours of ink and paper.
COLOURS = {
    "light": ((29, 29, 27), (255, 255, 255)),
    "dark": ((233, 232, 228), (38, 38, 36)),
}


@st.cache_data(max_entries=8, show_spinner="Computing principal components")
def _compute(name: str, sample: int, _digits: LabelledImages) -> PcaMap:
    return insight.compute_pca(_digits.images, sample)


@st.cache_data(max_entries=8, show_spinner=False)
def _pictures(name: str, sample: int, theme: str, _digits: LabelledImages) -> list[str]:
    return digit_pngs(_digits.images[_compute(name, sample, _digits).indices], *COLOURS[theme])


@st.fragment
def draw_map(digits: LabelledImages) -> None:
    """Draw a sample of digits as a scatter plot of two principal components."""
    digit = draw_class_control()
    left, right = st.columns([7, 3], gap="large")
    with right, st.container(horizontal=True, gap="small"):
        axes = st.selectbox(
            "Components",
            AXES,
            key="axes",
            width=130,
            **KEPT,
            help="Principal components: the directions in which the pixels vary most. The first "
            "explains most of the variance.",
        )
        sample = st.selectbox(
            "Digits", (500, 1_000, 1_500, 3_000), 2, key="sample", width=100, **KEPT
        )
    chart = _compute(digits.name, sample, digits)
    across, up = (int(word) - 1 for word in axes.split(" and "))
    frame = pd.DataFrame(
        {
            "x": chart.points[:, across],
            "y": chart.points[:, up],
            "digit": digits.labels[chart.indices],
            "index": chart.indices,
        }
    )
    with left:
        _draw_scatter(
            digits,
            frame,
            _axis_title(chart, across),
            _axis_title(chart, up),
            sample,
            digit,
        )
    with right:
        for axis, ends in ((across, "left to right"), (up, "bottom to top")):
            heading(f"Component {axis + 1}", ends)
            draw_gallery(
                insight.images_along_component(chart, axis, 5),
                f"The mean digit, moved along component {axis + 1}",
                f"data_component{axis}",
                columns=(5,),
                alts=[f"step {step} of 5" for step in range(1, 6)],
            )
        explained = chart.explained_variance[across] + chart.explained_variance[up]
        st.caption(
            f"Together they explain {100 * explained:.0f} % of the variance. Digits that overlap "
            "here can still be separated: a network uses all 784 pixels."
        )
        pair = insight.closest_classes(chart.points[:, [across, up]], digits.labels[chart.indices])
        if pair:
            st.markdown(
                f"On this map the centres of {pair[0]} and {pair[1]} are closest: by these two "
                "components alone, they look most alike."
            )
            st.page_link(
                "pages/mistakes.py",
                label=f":primary[See {pair[0]} predicted as {pair[1]}]",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params={"labelled": str(pair[0]), "read": str(pair[1])},
            )
        st.download_button(
            "Map as CSV",
            lambda: frame.to_csv(index=False),
            f"mnist-{digits.name}-map.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
        )


def _axis_title(chart: PcaMap, axis: int) -> str:
    return f"component {axis + 1}, {100 * chart.explained_variance[axis]:.1f} % of variance"


def _draw_scatter(
    digits: LabelledImages,
    frame: pd.DataFrame,
    x_title: str,
    y_title: str,
    sample: int,
    digit: int | None,
) -> None:
    from core.charts import digits as charts

    pictures = _pictures(digits.name, sample, st.context.theme.type or "light", digits)
    draw_chart(
        charts.digit_map(frame.assign(image=pictures), x_title, y_title, digit),
        "data_map",
        title="Map",
        subject=digits.name,
        subtitle="point at a digit to enlarge it",
        filename=f"mnist-{digits.name}-map",
        make_table=lambda: frame,
        alt=f"{len(frame):,} digits; similar ones are close to each other.",
    )
