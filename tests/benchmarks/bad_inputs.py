"""Try thousands of bad inputs at every door of the app, and count them.

    python tests/benchmarks/bad_inputs.py --inputs 5000

Runs the property tests, which try a hundred inputs each in the test suite, with as many as asked
for. A door is everything through which something from outside comes in: files, links, the command
line, the environment, a shared storage. Prints a table of the doors; the exit status is 1 if an
input ended in anything but a result or a sentence.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from measuring import machine, table

ROOT = Path(__file__).parents[2]
# Files of property tests; a file may serve only one door.
DOORS = {
    "run zips": ("core/runs/test_uploads.py", "core/runs/test_upload_values.py"),
    "files of a run's folder": (
        "core/runs/test_events.py",
        "core/runs/test_run_names.py",
        "core/charts/test_runs.py",
    ),
    "digit files": (
        "core/library/test_digits.py",
        "core/library/test_digit_pictures.py",
    ),
    "pictures and strokes": (
        "core/drawing/test_picture_files.py",
        "core/drawing/test_segmentation.py",
    ),
    "config JSON": (
        "core/test_config.py",
        "core/test_faults.py",
        "core/test_json_input.py",
        "core/test_schema.py",
    ),
    "layer rows and transforms": (
        "core/models/test_row_text.py",
        "core/models/test_shapes.py",
        "core/data/test_transform_text.py",
    ),
    "links": ("pages/test_any_link.py",),
    "command line and environment": ("core/cli/test_inputs.py", "core/test_limits.py"),
    "sweep storage": ("core/sweeps/test_storage.py", "core/sweeps/test_hostile_entries.py"),
    "roles and claims": ("pages/ui/test_access_inputs.py",),
    "text in output": ("core/cli/test_output.py", "core/reports/test_text.py"),
}
EXAMPLES = re.compile(r"(\d+) passing, (\d+) failing, and (\d+) invalid")


class Counter:
    """A plugin for pytest that counts the inputs of each test file, and what failed."""

    def __init__(self, inputs: int) -> None:
        self.wanted = inputs
        self.inputs: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """Add the profile that the command line names."""
        import hypothesis  # pytest warns where it was imported before pytest has started

        hypothesis.settings.register_profile("counted", deadline=None, max_examples=self.wanted)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave only property tests."""
        import hypothesis

        items[:] = [
            item for item in items if hypothesis.is_hypothesis_test(getattr(item, "obj", None))
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the seconds of one test, and note what failed."""
        if report.failed:
            self.failed.append(f"{report.nodeid} ({report.when})")
        file = report.nodeid.partition("::")[0].removeprefix("tests/")
        self.seconds[file] += report.duration

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Add up the inputs of one test."""
        text = getattr(item, "hypothesis_statistics", "")
        file = item.nodeid.partition("::")[0].removeprefix("tests/")
        self.inputs[file] += sum(
            int(passing) + int(failing) for passing, failing, _ in EXAMPLES.findall(text)
        )


def main() -> None:
    """Run the tests of the chosen doors and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=2_000, help="for each property test")
    parser.add_argument("--doors", nargs="+", choices=list(DOORS), default=list(DOORS))
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    options = parser.parse_args()
    counter, started = Counter(options.inputs), time.monotonic()
    pytest.main(
        [
            *(str(ROOT / "tests" / file) for door in options.doors for file in DOORS[door]),
            f"--rootdir={ROOT}",
            "--hypothesis-profile=counted",
            "--hypothesis-show-statistics",
            f"--hypothesis-seed={options.seed}",
            *("-q", "--no-summary", "--timeout=3600", "--durations=0", "--durations-min=3600"),
        ],
        plugins=[counter],
    )
    rows = [
        (
            door,
            f"{sum(counter.inputs[file] for file in DOORS[door]):,}",
            f"{sum(counter.seconds[file] for file in DOORS[door]):.0f}",
        )
        for door in options.doors
    ]
    total = f"{sum(counter.inputs.values()):,}", f"{time.monotonic() - started:.0f}"
    print(f"\n{machine()}\n")
    print(table(("door", "inputs", "s"), [*rows, ("all", *total)]))
    print("\n".join([f"\nwrong: {len(counter.failed)}", *(f"  {name}" for name in counter.failed)]))
    sys.exit(1 if counter.failed or not sum(counter.inputs.values()) else 0)


if __name__ == "__main__":
    main()
