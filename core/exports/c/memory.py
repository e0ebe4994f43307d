"""Places for the arrays of a forward pass, which share memory where they are not needed at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.compiled.plan import Operation


def plan_memory(
    operations: Sequence[Operation], sizes: Mapping[int, int]
) -> tuple[dict[int, int], int]:
    """Place each array where it overlaps no other that is needed at the same time.

    The largest are placed first, each as low as possible (as in TensorFlow Lite's memory planner).
    In a network without "add", two alternating buffers result.

    Args:
        operations: in order.
        sizes: number of values by the operation that makes them; 0: the input. Only these are
            placed.

    Returns:
        The first position of each array, and the number of values in all.
    """
    first = {0: -1} | {op.number: at for at, op in enumerate(operations)}
    last = dict(first)
    for at, op in enumerate(operations):
        for source in (op.source, *([op.added] if op.kind == "add" else [])):
            last[source] = at
    starts: dict[int, int] = {}
    for number in sorted(sizes, key=lambda number: (-sizes[number], first[number])):
        others = sorted(
            (starts[other], starts[other] + sizes[other])
            for other in starts
            if first[other] <= last[number] and first[number] <= last[other]
        )
        start = 0
        for low, high in others:
            if start + sizes[number] <= low:
                break
            start = max(start, high)
        starts[number] = start
    return starts, max((start + sizes[number] for number, start in starts.items()), default=0)
