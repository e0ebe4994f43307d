"""Export shipped runs as C headers, and print bytes of weights, RAM and code, and accuracy.

    python tests/benchmarks/c_headers.py                    # print the results file
    python tests/benchmarks/c_headers.py taught:int8 best:int4 best:int8:8000
    python tests/benchmarks/c_headers.py taught:int8 --write
    python tests/benchmarks/c_headers.py --write            # measure all, and write the file anew

Each header is compiled and run on all 10,000 test images; scales, bits and fine-tuned weights are
chosen on training images. With --write, a header's figures replace those of the same run and kind
of weights in core/experiments/c_headers.json, and the tables of the READMEs are made anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.errors import UserError  # noqa: E402
from core.experiments.c_headers import (  # noqa: E402
    FILE,
    MeasuredHeader,
    headers_table,
    read_headers,
    write_headers,
)
from core.experiments.measurements import read_measurements  # noqa: E402
from core.exports.c.export import export_c  # noqa: E402
from core.reports.results import update_readmes  # noqa: E402
from core.runs.folders import SHIPPED  # noqa: E402
from core.runs.store import open_run  # noqa: E402

ALL = ("best:int8", "best:int8:8000", "final:int8", "taught:int8", "tiny:int8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the named headers; print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="RUN[:SCHEME[:BYTES]]")
    parser.add_argument("--write", action="store_true", help="write the figures into the file")
    options = parser.parse_args(arguments)
    starts_anew = options.write and not options.names
    try:
        headers = [] if starts_anew or not FILE.is_file() else list(read_headers(FILE))
        for name in ALL if starts_anew else options.names:
            measured = measure(*name.split(":"))
            headers = [each for each in headers if _key(each) != _key(measured)] + [measured]
            headers.sort(key=lambda each: (each.run, -each.weights))
            print(headers_table([measured]), flush=True)
        if options.write:
            write_headers(headers, FILE)
            update_readmes(ROOT, read_measurements())
    except UserError as error:
        sys.exit(str(error))
    print(headers_table(headers))


def measure(run: str, scheme: str = "", max_bytes: str = "") -> MeasuredHeader:
    """Export one header.

    Args:
        run: name of a shipped run.
        scheme: int8 or int4; empty: floating point.
        max_bytes: of all constants; empty: any number.

    Raises:
        UserError: there is no such run, or the header cannot be made or measured here.
    """
    limit = int(max_bytes) if max_bytes else None
    header = export_c(open_run(run, SHIPPED), "last", scheme, limit, fine_tunes=bool(scheme))
    figures = header.figures
    if figures.correct is None or figures.code is None:
        raise UserError(
            f"{run} cannot be measured, since no C compiler works here: pip install ziglang."
        )
    return MeasuredHeader(
        run,
        scheme,
        header.four_bit_layers,
        figures.weights,
        figures.memory,
        figures.code,
        figures.processor,
        figures.multiply_adds,
        figures.correct,
        figures.images,
        header.is_fine_tuned,
    )


def _key(header: MeasuredHeader) -> tuple[str, str, bool]:
    return header.run, header.scheme, header.scheme == "int8" and header.four_bit_layers > 0


if __name__ == "__main__":
    main()
