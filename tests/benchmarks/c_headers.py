"""Export shipped runs as C headers, and print bytes of weights, RAM and code, and accuracy.

    python tests/benchmarks/c_headers.py                  # what has been measured
    python tests/benchmarks/c_headers.py taught:int8 best:int8:8000 best:int4 --write

Each header is compiled and run on all 10,000 test images; what is chosen is chosen on training
images. With --write, the figures replace those of the same run, scheme and limit of bytes in the
results file.
"""

from __future__ import annotations

import argparse
import sys
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
from core.exports.c.export import export_c  # noqa: E402
from core.runs.folders import SHIPPED  # noqa: E402
from core.runs.store import open_run  # noqa: E402


def main() -> None:
    """Measure what is named; print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="RUN[:SCHEME[:BYTES]]")
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    try:
        headers = list(read_headers()) if FILE.is_file() else []
        for name in options.names:
            measured = measure(*name.split(":"))
            headers = [each for each in headers if _key(each) != _key(measured)] + [measured]
            headers.sort(key=lambda each: (each.run, -each.weights))
            print(headers_table([measured]), flush=True)
            if options.write:
                write_headers(headers)
    except UserError as error:
        sys.exit(str(error))
    print(headers_table(headers))


def measure(run: str, scheme: str = "", max_bytes: str = "") -> MeasuredHeader:
    """Export one header.

    Args:
        run: name of a shipped run.
        scheme: int8 or int4; empty: floating point.
        max_bytes: of weights; empty: any.
    """
    limit = int(max_bytes) if max_bytes else None
    header = export_c(open_run(run, SHIPPED), "last", scheme, limit, fine_tunes=bool(scheme))
    figures = header.figures
    if figures.correct is None or figures.code is None:
        raise UserError("a C compiler is needed: pip install ziglang.")
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
