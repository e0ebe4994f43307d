"""Collects the arrays and phases of a training step, and knows which values are stored nowhere.

Must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.compiled.plan import Operation

# Arguments of kernels that point to what they write.
_WRITTEN = ("y", "dx", "dw", "db", "sums", "scratch")


@dataclass
class Phase:
    comments: list[str]
    lines: list[str]
    per_chunk: int
    fixed: int


@dataclass
class Builder:
    """Arrays, phases and scratch, in the order in which they are added."""

    lanes: int
    chunks: int
    arrays: list[str] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    commit: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)  # body -> name
    unstored: dict[int, Operation] = field(default_factory=dict)
    """Operations whose normalised output is stored nowhere, by number; see `find_unstored`."""
    pooled: dict[int, Operation] = field(default_factory=dict)
    """The max pool that alone reads an unstored output, by the number of what it reads."""
    floats: int = 0  # of all arrays
    scratch: int = 64  # floats

    def per_chunk(self, name: str, vectors: int) -> str:
        """Declare an array of `vectors` vectors for each chunk; return its address in a tile."""
        self.arrays.append(f"float {name}[CHUNKS][{vectors} * LANES];")
        self.floats += self.chunks * vectors * self.lanes
        return f"a->{name}[chunk]"

    def slots(self, name: str, floats: int) -> str:
        """Declare an array of `floats` numbers for each chunk; return its address in a tile."""
        self.arrays.append(f"float {name}[CHUNKS][{floats}];")
        self.floats += self.chunks * floats
        return f"a->{name}[chunk]"

    def array(self, name: str, floats: int) -> str:
        """Declare an array that all chunks share; return its address."""
        self.arrays.append(f"float {name}[{floats}];")
        self.floats += floats
        return f"a->{name}"

    def add_local(self, comment: str, *lines: str) -> None:
        """Add work on one chunk that depends on earlier phases and on this chunk only."""
        if not self.phases or not self.phases[-1].per_chunk:
            self.phases.append(Phase([], [], 1, 0))
        self.phases[-1].comments.append(comment)
        self.phases[-1].lines += [f"// {comment}", *lines]

    def add_common(self, comment: str, tiles: int, *lines: str) -> None:
        """Add a phase of `tiles` tiles that depends on all chunks."""
        self.phases.append(Phase([comment], list(lines), 0, tiles))

    def shared(self, call: str, **arguments: str) -> str:
        """Return a call of a function that all rows of the same shape share, to compile it once.

        Args:
            call: of a kernel, with the names of the arguments where rows differ.
            arguments: what this row passes.
        """
        parameters = ", ".join(
            f"{'' if name in _WRITTEN else 'const '}float *{name}" for name in arguments
        )
        body = f"({parameters}) {{\n    {call};\n}}"
        kernel = call.partition("(")[0]
        name = self.functions.setdefault(body, f"{kernel}_{len(self.functions) + 1}")
        return f"{name}({', '.join(arguments.values())});"

    def need_scratch(self, floats: int) -> None:
        """Make room for `floats` numbers that a tile uses by itself."""
        self.scratch = max(self.scratch, floats)


class Gradients:
    """Places of the parameters' gradients in one array."""

    def __init__(self, parameters: Sequence[tuple[int, int]]):
        self.tensors = [tensor for tensor, _ in parameters]
        sizes = [size for _, size in parameters]
        self.offsets = [sum(sizes[:index]) for index in range(len(sizes))]
        self.total, self.largest = sum(sizes), max(sizes)
        self.reductions: dict[int, str] = {}  # tensor -> how its gradient is added up
        self.uses: dict[int, list[int]] = {}  # weight -> the rows that use it

    def __call__(self, tensor: int) -> str:
        return f"a->gradients + {self.offsets[self.tensors.index(tensor)]}"


def find_unstored(
    operations: Sequence[Operation],
) -> tuple[dict[int, Operation], dict[int, Operation]]:
    """Return the operations whose normalised output is computed where it is read, by number.

    They are those whose only reader is a convolution, which copies its input anyway, or a max pool.

    Returns:
        These operations, and the max pools that read some of them, by the number of what they read.
    """
    readers: dict[int, list[Operation]] = {op.number: [] for op in operations}
    readers[0] = []
    for op in operations:
        readers[op.source].append(op)
        if op.kind == "add":
            readers[op.added].append(op)
    unstored, pooled = {}, {}
    for op in operations:
        if op.norm is None or len(readers[op.number]) != 1:
            continue
        reader = readers[op.number][0]
        if reader.kind == "maxpool" and reader.kernel == reader.stride and reads_copies(op):
            unstored[op.number], pooled[op.number] = op, reader
        elif reads_copies(reader):
            unstored[op.number] = op
    return unstored, pooled


def reads_copies(op: Operation) -> bool:
    """Whether both gradients of a convolution read one padded copy of its output's gradient."""
    return op.kind == "conv" and op.norm is not None and op.stride == 1 and op.padding < op.kernel
