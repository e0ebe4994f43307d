"""The digits to look at: page by page, class by class in figures, and as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from core.charts.sprites import singles
from core.data.labelled_images import LabelledImages
from core.insight import digits as insight
from pages.ui.components.chart import draw_chart
from pages.ui.components.gallery import draw_closeup, draw_gallery
from pages.ui.frame import KEPT, heading
from pages.ui.tables import draw_metrics

if TYPE_CHECKING:
    from core.insight.digits import PcaMap, Statistics

PAGE = 72
ALL = "all"
AXES = ("1 and 2", "1 and 3", "2 and 3", "3 and 4", "5 and 6")
COLOURS = {
    "light": ((29, 29, 27), (255, 255, 255)),
    "dark": ((233, 232, 228), (38, 38, 36)),
}  # ink and paper
NAMES = ("zeros", "ones", "twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines")
QUANTILES = ("low", "lower", "median", "upper", "high")


def draw_class_control() -> int | None:
    """The control for one class or all."""
    name = st.pills(
        "Class",
        [ALL, *map(str, range(10))],
        default=ALL,
        required=True,
        key="class",
        wrap=True,
        **KEPT,
    )
    return None if name == ALL else int(name)


def draw_index_control(
    some: LabelledImages, label: str = "Index", help: str = "Place in the dataset, counted from 0."
) -> int:
    """The control for the digit in question."""
    return st.number_input(
        label, 0, len(some.images) - 1, 0, key="index", help=help, width=150, **KEPT
    )


@st.fragment
def draw_browser(some: LabelledImages) -> None:
    """The digits in a grid, one of them close up."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="picks"):
        digit = draw_class_control()
        index = draw_index_control(some)
    shown = insight.page_of_digits(some.labels, digit, index, PAGE)
    left, right = st.columns([7, 3], gap="large")
    with left:
        labels = some.labels[shown.indices]
        draw_gallery(
            some.images[shown.indices],
            "Digits of the dataset",
            "digits",
            alts=[
                f"{label}, {some.name} image {at}"
                for label, at in zip(labels, shown.indices, strict=True)
            ],
            labels=[str(label) for label in labels],
            notes=[str(at) for at in shown.indices],
            picked=int(np.flatnonzero(shown.indices == shown.selected)[0]),
            on_pick=lambda: _go(int(shown.indices[st.session_state["digits"].picked])),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            _step("Earlier", "chevron_left", shown.previous)
            _step("Later", "chevron_right", shown.next)
            st.caption(
                f"{shown.offset + 1:,} to {shown.offset + len(shown.indices):,} of {shown.total:,} "
                + ("digits" if digit is None else NAMES[digit])
            )
    with right, st.container(key="seen"):
        label, image = int(some.labels[shown.selected]), some.images[shown.selected]
        heading("An 8" if label == 8 else f"A {label}", f"{some.name} image {shown.selected:,}")
        draw_closeup(
            image,
            f"{some.name} image {shown.selected}, a {label}, 28 by 28 pixels; arrow keys read out their values",
            f"Ink on {np.count_nonzero(image)} of 784 pixels. Point at one to read its value.",
        )
        st.page_link(
            "pages/data.py",
            label=":primary[See it augmented :material/arrow_forward:]",
            query_params={
                "part": "Augmentation",
                "set": some.name,
                "index": str(shown.selected),
                "subject": "this one",
            },
        )


def _step(title: str, icon: str, to: int | None) -> None:
    st.button(
        title, icon=f":material/{icon}:", disabled=to is None, on_click=_go, args=(to,), key=icon
    )


def _go(index: int) -> None:
    st.session_state["index"] = index


@st.cache_data(max_entries=4, show_spinner="Counting pixels")
def _statistics(name: str, _some: LabelledImages) -> Statistics:
    return insight.compute_statistics(_some.images, _some.labels)


def draw_statistics(some: LabelledImages) -> None:
    """Classes and pixels in figures."""
    found = _statistics(some.name, some)
    classes = pd.DataFrame(
        {
            "digit": range(10),
            "images": found.counts,
            "share": found.counts / found.counts.sum(),
            **dict(zip(QUANTILES, found.ink_quantiles.T, strict=True)),
        }
    )
    _classes(some.name, classes)
    heading("Mean and variance", "where a digit always has ink, and where its writers differ")
    both = np.concatenate([found.mean, found.variance / max(float(found.variance.max()), 1e-9)])
    draw_gallery(
        np.round(both * 255).astype(np.uint8),
        "Mean and variance image of each digit",
        "means",
        columns=(10,),
        alts=[f"{what} image of {digit}" for what in ("mean", "variance") for digit in range(10)],
        headings=("Mean", "Variance"),
        tile=4.75,
    )
    _pixels(some, found)
    st.download_button(
        "Classes as CSV",
        lambda: classes.to_csv(index=False),
        f"mnist-{some.name}-classes.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
    )


def _classes(name: str, classes: pd.DataFrame) -> None:
    from core.charts import digits as charts

    left, right = st.columns(2, gap="large")
    with left:
        draw_chart(
            charts.balance(classes),
            "balance",
            title="Class balance",
            subtitle="images of each digit; dotted: all equal",
            filename=f"mnist-{name}-classes",
            subject=name,
            make_table=lambda: classes,
            alt="Images of each digit: "
            + ", ".join(f"{digit}: {count:,}" for digit, count in enumerate(classes["images"])),
        )
    with right:
        draw_chart(
            charts.ink(classes),
            "ink",
            title="Ink",
            subtitle="mean grey: the middle half, and all but 5 % at each end",
            filename=f"mnist-{name}-ink",
            subject=name,
            make_table=lambda: classes,
            alt="Median ink of each digit: "
            + ", ".join(f"{digit}: {share:.0%}" for digit, share in enumerate(classes["median"])),
        )


def _pixels(some: LabelledImages, found: Statistics) -> None:
    from core.charts import digits as charts

    left, right = st.columns(2, gap="large")
    with left:
        bars = pd.DataFrame(
            {
                "low": range(0, 256, 8),
                "high": range(8, 257, 8),
                "share": found.histogram.reshape(-1, 8).sum(axis=1) / found.histogram.sum(),
            }
        )
        draw_chart(
            charts.greys(bars),
            "greys",
            title="Grey values",
            subtitle="share of all pixels, logarithmic; 0 is bare paper",
            filename=f"mnist-{some.name}-greys",
            subject=some.name,
            make_table=lambda: bars,
            alt=f"{found.blank_share:.0%} of the pixels are bare paper, most others full ink.",
        )
    with right:
        heading("Pixels", "white is 1; networks are given (x − 0.1307) / 0.3081")
        draw_metrics(
            {
                "Mean": f"{found.grey_mean:.4f}",
                "Standard deviation": f"{found.grey_std:.4f}",
                "Without ink": f"{100 * found.blank_share:.1f} %",
                "Never inked": f"{found.never_inked} of 784",
            }
        )


@st.cache_data(max_entries=8, show_spinner="Laying out the map")
def _map(name: str, sample: int, _some: LabelledImages) -> PcaMap:
    return insight.compute_pca(_some.images, sample)


@st.cache_data(max_entries=8, show_spinner=False)
def _pictures(name: str, sample: int, theme: str, _some: LabelledImages) -> list[str]:
    return singles(_some.images[_map(name, sample, _some).indices], *COLOURS[theme])


@st.fragment
def draw_map(some: LabelledImages) -> None:
    """A sample laid out by its principal components."""
    digit = draw_class_control()
    left, right = st.columns([7, 3], gap="large")
    with right, st.container(horizontal=True, gap="small"):
        axes = st.selectbox(
            "Components",
            AXES,
            key="axes",
            width=130,
            **KEPT,
            help="Principal components: directions "
            "in which the digits differ most. The first carries most of the differences.",
        )
        sample = st.selectbox(
            "Digits", (500, 1_000, 1_500, 3_000), 2, key="sample", width=100, **KEPT
        )
    chart = _map(some.name, sample, some)
    across, up = (int(word) - 1 for word in axes.split(" and "))
    frame = pd.DataFrame(
        {
            "x": chart.points[:, across],
            "y": chart.points[:, up],
            "digit": some.labels[chart.indices],
            "index": chart.indices,
        }
    )
    with left:
        _scatter(
            some,
            frame,
            [
                f"component {axis + 1}, {100 * chart.explained_variance[axis]:.1f} % of the differences"
                for axis in (across, up)
            ],
            sample,
            digit,
        )
    with right:
        for axis, ends in ((across, "left to right"), (up, "bottom to top")):
            heading(f"Component {axis + 1}", ends)
            draw_gallery(
                insight.images_along_component(chart, axis, 5),
                f"The mean digit moved along component {axis + 1}",
                f"along{axis}",
                columns=(5,),
                alts=[f"step {step} of 5" for step in range(1, 6)],
            )
        st.caption(
            f"Together they carry {100 * (chart.explained_variance[across] + chart.explained_variance[up]):.0f} % of the differences "
            "between pixels. Digits that lie on each other here can still be told apart: "
            "a network sees all 784 pixels."
        )
        st.download_button(
            "Map as CSV",
            lambda: frame.to_csv(index=False),
            f"mnist-{some.name}-map.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
        )


def _scatter(
    some: LabelledImages, frame: pd.DataFrame, titles: list[str], sample: int, digit: int | None
) -> None:
    from core.charts import digits as charts

    pictures = _pictures(some.name, sample, st.context.theme.type or "light", some)
    draw_chart(
        charts.scatter(frame.assign(image=pictures), *titles, digit),
        "map",
        title="Map",
        subject=some.name,
        subtitle="point at a digit to see it",
        filename=f"mnist-{some.name}-map",
        make_table=lambda: frame,
        alt=f"{len(frame):,} digits, those with similar pixels close together.",
    )
