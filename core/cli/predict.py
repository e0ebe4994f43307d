"""The command that predicts the digits in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.output import Epoch, Json, RunName, Which, print_json, print_text
from core.errors import UserError, listed
from core.regular_files import read_regular_file
from core.runs import loading, store

if TYPE_CHECKING:
    from core.drawing.preparation import Ink


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(predict)


def predict(
    run: RunName,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE",
            help="PNG, JPEG, WebP, BMP, GIF or TIFF files.",
            show_default=False,
        ),
    ],
    number: Annotated[
        bool, typer.Option("--number", help="Read the digits of each picture as a number.")
    ] = False,
    which: Which = "last",
    epoch: Epoch = None,
    json_: Json = False,
) -> None:
    """Predict the digits in pictures.

    A picture shows one digit, or with --number several in a line: dark on light or light on dark,
    drawn, scanned or photographed.
    """
    import numpy as np

    from core.insight import predictions
    from core.insight.familiarity import MESSAGE, measure_strangeness

    model = loading.load_model(store.open_run(run), which if epoch is None else epoch)
    digits = [_read_digits(path, number) for path in images]
    together = np.concatenate(digits)
    probabilities = predictions.predict(model, together)  # (N, 10)
    ends = np.cumsum([len(group) for group in digits])
    rows = np.split(probabilities, ends[:-1])  # (digits of a picture, 10) each
    strange = np.split(measure_strangeness(together) > 0, ends[:-1])

    if json_:
        print_json(
            [
                _picture_to_dict(path, row, odd, number)
                for path, row, odd in zip(images, rows, strange, strict=True)
            ]
        )
        return
    for path, row, odd in zip(images, rows, strange, strict=True):
        if number:
            text = "".join(map(str, row.argmax(axis=1)))
            print_text(f"{path}: {text} ({row.max(axis=1).prod():.1%}){_name_strange(odd)}")
        else:
            first, second = row[0].argsort()[::-1][:2]
            note = f". {MESSAGE}" if odd[0] else ""
            print_text(
                f"{path}: {first} ({row[0][first]:.1%}), then {second} ({row[0][second]:.1%}){note}"
            )


def _picture_to_dict(path: Path, row: Any, strange: Any, number: bool) -> dict[str, Any]:
    """Return the prediction for a picture as JSON values.

    Args:
        path: of the picture.
        row: (digits, 10) probabilities of the classes for each digit found in the picture.
        strange: (digits,) bool, whether what was found does not look like a digit.
        number: whether the digits are read as a number; otherwise there is one digit.
    """
    digits = [
        {
            "digit": int(probabilities.argmax()),
            "probabilities": probabilities.tolist(),
            "looks_like_digit": not odd,
        }
        for probabilities, odd in zip(row, strange, strict=True)
    ]
    if not number:
        return {"image": str(path), **digits[0]}
    return {
        "image": str(path),
        "number": "".join(map(str, row.argmax(axis=1))),
        "probability": float(row.max(axis=1).prod()),
        "digits": digits,
    }


def _name_strange(strange: Any) -> str:
    """Name the places of a number that do not look like digits; "" where all do."""
    places = [str(place) for place, odd in enumerate(strange, 1) if odd]
    return f". Not like a digit: place {listed(places, 'and')}" if places else ""


def _read_digits(path: Path, number: bool) -> Ink:
    """Read the digits in a picture: (N, 28, 28) uint8 in MNIST's form.

    Args:
        path: of the picture.
        number: whether several digits are read; otherwise N is 1.

    Raises:
        UserError: The picture cannot be read or shows no digit, or it shows several and `number`
            is False.
    """
    import numpy as np

    from core.drawing.pictures import MAX_FILE, open_picture, picture_to_ink
    from core.drawing.preparation import to_mnist
    from core.drawing.segmentation import segment_ink

    try:
        ink = picture_to_ink(open_picture(read_regular_file(path, MAX_FILE)))
        digits = segment_ink(ink, touching=number)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not digits:
        raise UserError(f"found no digit in {path}: nothing stands out from the background.")
    if number:
        return np.stack(digits)
    if len(digits) > 1:
        raise UserError(
            f"{path} shows {len(digits)} digits; add --number to read them as a number."
        )
    return to_mnist(ink)[None]
