"""What a slide holds, and what slides are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from core.data.labelled_images import LabelledImages
from core.experiments.measurements import Measurements
from core.insight.mistakes import Predictions
from core.runs.run import Run
from pages.ui.story.pictures import Picture
from pages.ui.story.tries import Try


@dataclass(frozen=True)
class Slide:
    """A slide.

    Args:
        name: in the link.
        chapter: title of its chapter.
        title: its heading.
        text: one or two sentences.
        task: something to try on another page.
        picture: beside the figures; empty: none.
        figures: large numbers by title.
        note: how to read the picture, above it; empty: none.
    """

    name: str
    chapter: str
    title: str
    text: str
    task: Try
    picture: Picture = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The slide as presentation.js takes it; numbers do not part from their unit."""
        values = asdict(self) | {
            "task": self.task.text,
            "label": self.task.label,
            "link": f"{self.task.page}?{urlencode(self.task.query, doseq=True)}",
        }
        return {
            name: value.replace(" %", "\u00a0%") if isinstance(value, str) else value
            for name, value in values.items()
        }


@dataclass(frozen=True, eq=False)
class Material:
    """What slides are made from.

    Args:
        runs: the shipped runs that are there, by name and in order.
        measurements: the measured figures.
        training, test: MNIST; None: it is not here, and slides that need it are left out.
        predictions: of the runs on the test images, by name.
    """

    runs: Mapping[str, Run]
    measurements: Measurements
    training: LabelledImages | None = None
    test: LabelledImages | None = None
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
