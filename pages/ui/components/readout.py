"""Predictions that change in place while a stroke is drawn: of one network, or of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pages.ui.components.component import register_component

_mount_readout = register_component("readout", "predictions/readout")
_mount_cards = register_component("cards", "predictions/cards")


@dataclass(frozen=True, eq=False)
class Card:
    """The prediction of one network.

    Args:
        name: the network's name, which a click gives.
        title: what the card shows as its name.
        note: lines below the name.
        probabilities: (10,), or None without a prediction.
        message: text in place of a missing prediction.
    """

    name: str
    title: str
    note: str
    probabilities: np.ndarray | None
    message: str = ""


def show_readout(
    image: np.ndarray | None,
    probabilities: np.ndarray | None,
    message: str,
    key: str = "readout",
    bars: bool = True,
    spoken: str = "",
) -> None:
    """Show a network's 28x28 input, its prediction, and the ten probabilities as bars.

    Args:
        image: (28, 28) uint8, or None for an empty input.
        probabilities: (10,), or None without a prediction.
        message: sentence below the predicted digit.
        key: key of the component.
        bars: whether the bars are shown.
        spoken: sentence that only screen readers say, after the message.
    """
    alt = "The 28 by 28 pixels of the network's input" + (", empty." if image is None else ".")
    _mount_readout(
        key=key,
        data={
            "pixels": None if image is None else image.flatten().tolist(),
            "message": message,
            "alt": alt,
            "bars": bars,
            "spoken": spoken,
            **_prediction(probabilities),
        },
    )


def show_cards(
    cards: Sequence[Card], selected: str, on_pick: Callable[[], None], key: str = "cards"
) -> None:
    """Show the predictions of several networks side by side.

    Args:
        cards: one for each network.
        selected: name of the highlighted card.
        on_pick: called after a click on a card, whose name is then in
            `st.session_state[key].picked`.
        key: key of the component.
    """
    entries = [
        {
            "name": card.name,
            "title": card.title,
            "note": card.note,
            "message": card.message,
            **_prediction(card.probabilities),
        }
        for card in cards
    ]
    _mount_cards(key=key, data={"cards": entries, "selected": selected}, on_picked_change=on_pick)


def _prediction(probabilities: np.ndarray | None) -> dict[str, object]:
    """The predicted digit and the rounded probabilities, both None without a prediction."""
    if probabilities is None:
        return {"digit": None, "probabilities": None}
    return {
        "digit": int(probabilities.argmax()),
        "probabilities": np.round(probabilities, 4).tolist(),
    }
