"""Converting runs whose weights are torch files (.pt), as earlier versions wrote them.

Only this command reads such files, with `torch.load(weights_only=True)`, and only on the machine
where a person asks for it; uploads never get here.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import RunError
from core.runs import files, status, torch_file, weights
from core.runs.folders import checkpoints_folder, list_entries
from core.runs.run import read_run_json
from core.runs.run_names import check_name
from core.training.plan import plan

FILES = ("last", "best", "start")


def list_unconverted(folder: Path | None = None) -> list[str]:
    """Return the names of the runs whose weights are torch files."""
    return [
        path.name
        for path in list_entries(folder or checkpoints_folder())
        if not path.is_symlink() and _old_files(path)
    ]


def convert_run(name: str, folder: Path | None = None) -> None:
    """Convert a run's weights to safetensors; the torch files are removed afterwards.

    Args:
        name: name of the run.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Raises:
        RunError: there is no such run, it is training, or its weights are damaged.
    """
    folder = folder or checkpoints_folder()
    run_folder = folder / check_name(name)
    if run_folder.is_symlink() or not run_folder.is_dir():
        raise RunError(f"there is no run {name!r}.")
    values = read_run_json(files.read_json(run_folder / "run.json"))
    expected = weights.expected_tensors(plan(values["config"]).rows)
    # Before the lock is taken: a made-up torch file may take for ever.
    converted = {old: _convert(old, expected) for old in _old_files(run_folder)}
    with files.lock_folder(folder):
        if status.read(run_folder).is_live:
            raise RunError(f"{name} is training; stop it before converting it.")
        for old, data in converted.items():
            files.write_bytes(old.with_suffix(weights.SUFFIX), data)
        for old in converted:
            files.remove_file(old)


def _convert(old: Path, expected: weights.Specs) -> bytes:
    """Return a torch file of weights as a safetensors file."""
    tensors = torch_file.load(old)
    try:
        data = weights.to_bytes(tensors)
    except (AttributeError, TypeError, ValueError):
        raise RunError(f"{old.name} does not hold named tensors.") from None
    weights.check_bytes(data, expected, old.name)
    return data


def _old_files(run_folder: Path) -> list[Path]:
    paths = [run_folder / f"{which}{weights.OLD_SUFFIX}" for which in FILES]
    return [path for path in paths if path.is_file()]
