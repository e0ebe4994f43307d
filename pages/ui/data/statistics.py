"""Statistics of the dataset: class balance, ink, mean and variance images, grey values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight import digits as insight
from core.task import CLASSES
from pages.ui.components.chart import draw_chart
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import heading
from pages.ui.tables import draw_metrics

if TYPE_CHECKING:
    from core.insight.digits import Statistics

QUANTILES = ("low", "lower", "median", "upper", "high")


@st.cache_data(max_entries=4, show_spinner="Computing statistics")
def _compute(name: str, _digits: LabelledImages) -> Statistics:
    return insight.compute_statistics(_digits.images, _digits.labels)


def draw_statistics(digits: LabelledImages) -> None:
    """Draw statistics of the classes and of the pixels."""
    statistics = _compute(digits.name, digits)
    classes = pd.DataFrame(
        {
            "digit": range(CLASSES),
            "images": statistics.counts,
            "share": statistics.counts / statistics.counts.sum(),
            **dict(zip(QUANTILES, statistics.ink_quantiles.T, strict=True)),
        }
    )
    _draw_classes(digits.name, classes)
    heading("Mean and variance", "where a digit usually has ink, and where handwriting differs")
    both = np.concatenate(
        [statistics.mean, statistics.variance / max(float(statistics.variance.max()), 1e-9)]
    )
    draw_gallery(
        np.round(both * 255).astype(np.uint8),
        "Mean and variance image of each digit",
        "data_means",
        columns=(10,),
        alts=[
            f"{what} image of {digit}" for what in ("mean", "variance") for digit in range(CLASSES)
        ],
        headings=("Mean", "Variance"),
        tile=4.75,
    )
    _draw_pixels(digits, statistics)
    _draw_conclusion(digits, classes)
    st.download_button(
        "Classes as CSV",
        lambda: classes.to_csv(index=False),
        f"mnist-{digits.name}-classes.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
    )


def _draw_conclusion(digits: LabelledImages, classes: pd.DataFrame) -> None:
    """Say what the statistics mean for a network, and lead on to what follows from them."""
    rarest, most = (int(classes["images"].agg(which)) for which in ("idxmin", "idxmax"))
    thinnest = int(classes["median"].idxmin())
    st.markdown(
        f"All ten digits are about equally frequent, from {classes['images'][rarest]:,} images "
        f"of {rarest} to {classes['images'][most]:,} of {most}, so accuracy is a fair measure: "
        f"always guessing {most} would reach {100 * classes['share'][most]:.1f}\u00a0%. "
        f"A {thinnest} has the least ink. Where the variance images are strong, people write the "
        "digit differently; these differences are what a network has to learn to ignore.",
        width=760,
    )
    with st.container(horizontal=True, gap="large"):
        _draw_link(
            f"See how differently people write a {thinnest}",
            "data",
            {"part": "Digits", "set": digits.name, "class": str(thinnest)},
        )
        _draw_link("Add such differences by augmentation", "data", {"part": "Augmentation"})
        _draw_link("See which digits networks confuse", "mistakes", {})


def _draw_link(title: str, page: str, query: dict[str, str]) -> None:
    st.page_link(
        f"pages/{page}.py",
        label=f":primary[{title}]",
        icon=":material/arrow_forward:",
        icon_position="right",
        query_params=query,
    )


def _draw_classes(name: str, classes: pd.DataFrame) -> None:
    from core.charts import digits as charts

    left, right = st.columns(2, gap="large")
    with left:
        draw_chart(
            charts.class_balance_chart(classes),
            "data_balance",
            title="Class balance",
            subtitle="images of each digit; dotted: equal shares",
            filename=f"mnist-{name}-classes",
            subject=name,
            make_table=lambda: classes,
            alt="Images of each digit: "
            + ", ".join(f"{digit}: {count:,}" for digit, count in enumerate(classes["images"])),
        )
    with right:
        draw_chart(
            charts.ink_chart(classes),
            "data_ink",
            title="Ink",
            subtitle="mean grey value: middle 50 % and 90 % of images",
            filename=f"mnist-{name}-ink",
            subject=name,
            make_table=lambda: classes,
            alt="Median ink of each digit: "
            + ", ".join(f"{digit}: {share:.0%}" for digit, share in enumerate(classes["median"])),
        )


def _draw_pixels(digits: LabelledImages, statistics: Statistics) -> None:
    from core.charts import digits as charts

    left, right = st.columns(2, gap="large")
    with left:
        bars = pd.DataFrame(
            {
                "low": range(0, 256, 8),
                "high": range(8, 257, 8),
                "share": statistics.histogram.reshape(-1, 8).sum(axis=1)
                / statistics.histogram.sum(),
            }
        )
        draw_chart(
            charts.grey_value_chart(bars),
            "data_greys",
            title="Grey values",
            subtitle="share of all pixels, log scale; 0 is paper",
            filename=f"mnist-{digits.name}-greys",
            subject=digits.name,
            make_table=lambda: bars,
            alt=f"{statistics.blank_share:.0%} of the pixels are paper; most others are full ink.",
        )
    with right:
        heading("Pixels", "0: paper, 1: ink; network input: (x − 0.1307) / 0.3081")
        draw_metrics(
            {
                "Mean": f"{statistics.grey_mean:.4f}",
                "Standard deviation": f"{statistics.grey_std:.4f}",
                "Without ink": f"{100 * statistics.blank_share:.1f} %",
                "Never inked": f"{statistics.never_inked} of 784",
            }
        )
