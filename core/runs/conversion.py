"""Converting runs whose weights are torch files (.pt), as earlier versions wrote them.

Only this command reads such files, with `torch.load(weights_only=True)`, and only on the machine
where a person asks for it; uploads never get here.
"""

from __future__ import annotations

from pathlib import Path

from core.config import RunConfig
from core.errors import RunError
from core.runs import files, status, torch_file, weights
from core.runs.folders import checkpoints_folder, list_entries
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
    with files.lock_folder(folder):
        run_folder = folder / check_name(name)
        if run_folder.is_symlink() or not run_folder.is_dir():
            raise RunError(f"there is no run {name!r}.")
        if status.read(run_folder).is_live:
            raise RunError(f"{name} is training; stop it before converting it.")
        values = files.read_json(run_folder / "run.json")
        if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
            raise RunError(f"{name} is damaged: run.json does not describe a run of this app.")
        config = RunConfig.from_dict(values["config"])
        expected = weights.expected_tensors(plan(config).rows)
        old_files = _old_files(run_folder)
        for old in old_files:
            tensors = torch_file.load(old)
            try:
                data = weights.to_bytes(tensors)
            except (AttributeError, TypeError, ValueError):
                raise RunError(f"{old.name} does not hold named tensors.") from None
            weights.check_bytes(data, expected, old.name)
            files.write_bytes(old.with_suffix(weights.SUFFIX), data)
        for old in old_files:
            files.remove_file(old)


def _old_files(run_folder: Path) -> list[Path]:
    paths = [run_folder / f"{which}{weights.OLD_SUFFIX}" for which in FILES]
    return [path for path in paths if path.is_file()]
