"""Read digits in pictures as people have them, and print the accuracy in each situation.

    python tests/benchmarks/pictures.py --digits 300
    python tests/benchmarks/pictures.py --pairs 40

Renders MNIST's test images as in `tests/scenes.py` (framed, ruled, shaded, small on a page, ...),
saves each as a picture file, and reads the file as `python -m core predict` does. The reference is
the same digits read directly. --pairs combines every two situations of different kinds instead.
--part train is for choosing parameters.
"""

from __future__ import annotations

import itertools
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measuring import parser, report, table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
SEED = 1


def read_files(files: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Read picture files as one digit each.

    Returns:
        (N, 28, 28) uint8, blank where the file was refused, and (N,) how many digits were found;
        -1 where the file was refused.
    """
    from core.drawing.pictures import open_picture, picture_to_ink
    from core.drawing.preparation import to_mnist
    from core.drawing.segmentation import segment_ink
    from core.errors import UserError

    images, counts = np.zeros((len(files), 28, 28), np.uint8), np.zeros(len(files), int)
    for number, data in enumerate(files):
        try:
            ink = picture_to_ink(open_picture(data))
            images[number] = to_mnist(ink)
            counts[number] = len(segment_ink(ink, touching=False))
        except UserError:
            counts[number] = -1
    return images, counts


def main() -> None:
    from core.data import dataset
    from core.insight.predictions import predict
    from core.runs import store
    from core.runs.loading import load_model
    from tests.scenes import SITUATIONS, Scene, render

    options = parser(__doc__)
    options.add_argument("--digits", type=int, default=300, help="for each situation")
    options.add_argument("--pairs", type=int, default=0, help="digits for each two situations")
    options.add_argument("--part", choices=("test", "train"), default="test")
    options.add_argument("--network", default="best", help="a run in checkpoints/")
    options.add_argument(
        "--only", default="", help="texts, separated by commas, that situations contain"
    )
    options.add_argument("--save", type=Path, help="folder for the pictures that are read wrongly")
    given = options.parse_args()

    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)

    model = load_model(store.open_run(given.network), "last")
    part = getattr(dataset.load(), given.part)
    picks = np.random.default_rng(SEED).permutation(len(part.labels))
    singles = [
        (kind, name, situation)
        for kind, group in SITUATIONS.items()
        for name, situation in group.items()
    ]
    if given.pairs:
        scenes = [
            (f"{one[1]} + {other[1]}", (one[2], other[2]))
            for one, other in itertools.combinations(singles, 2)
            if one[0] != other[0]
        ]
    else:
        scenes = [("plain", ()), *((name, (situation,)) for _, name, situation in singles)]

    count = given.pairs or given.digits
    rows, low = [], 0
    texts = given.only.split(",")
    wanted = [scene for scene in scenes if any(text in scene[0] for text in texts)]
    for number, (name, situations) in enumerate(wanted):
        # Every pair gets other digits, so that all of them together are many.
        start = number * count if given.pairs else 0
        chosen = np.take(picks, range(start, start + count), mode="wrap")
        digits, labels = part.images[chosen].numpy(), part.labels[chosen].numpy()
        files = []
        for index, digit in zip(chosen, digits, strict=True):
            rng = np.random.default_rng((int(index), zlib.crc32(name.encode())))
            scene = Scene()
            for apply in situations:
                apply(scene, rng)
            files.append(render(digit, scene, rng))
        images, counts = read_files(files)
        direct = predict(model, digits).argmax(1) == labels
        correct = predict(model, images).argmax(1) == labels
        correct &= counts == 1  # a digit that is taken for several is refused
        low += correct.mean() < 0.98
        if given.save:
            folder = given.save / name.replace(" ", "_").replace("%", "")
            folder.mkdir(parents=True, exist_ok=True)
            for at in np.flatnonzero(~correct):
                (folder / f"{chosen[at]}-{labels[at]}").write_bytes(files[at])
        rows.append(
            (
                name,
                f"{100 * direct.mean():.1f}",
                f"{100 * correct.mean():.1f}",
                int((counts == 0).sum()),
                int((counts > 1).sum()),
                int((counts < 0).sum()),
            )
        )
        print(*rows[-1], sep="\t", file=sys.stderr, flush=True)

    columns = (
        *("situation", "read directly, %", "in the picture, %"),
        *("no digit", "several digits", "refused"),
    )
    heading = (
        f"{count} digits of MNIST's {given.part} images in each of {len(rows)} situations, read by "
        f"`{given.network}`; {low} below 98 %."
    )
    report([heading, table(columns, rows)], given.output)


if __name__ == "__main__":
    main()
