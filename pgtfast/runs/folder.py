"""The folder of a run: new, unfinished, finished, or of another config."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing
from .lock import Lock

RUN_FILE = "run.json"
LOCK_FILE = ".lock"
State = Literal["new", "unfinished", "finished"]


class RunFolder:
    """The folder of a run, claimed: one process at a time writes to it.

    Args:
        folder: RUN; made if absent.
        config: what decides the result: JSON values, paths and dataclasses; kept in run.json and compared when the run
            is resumed.

    Attributes:
        folder: RUN.
        config: as JSON values.
        metadata: content of run.json: config, finished, and what :meth:`write_run` adds.

    Raises:
        PgtfastError: the folder cannot be written, is in use, holds other files, or a run of another config.
    """

    def __init__(self, folder: str | Path, config: Any) -> None:
        self.folder = Path(folder)
        self.config = as_json(config)
        self._existing()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(
                self.folder / LOCK_FILE,
                f"--out {self.folder}: another process is writing this run; wait for it, or choose another folder",
            )
            for left in (*self.folder.glob(".*.tmp"), *self.folder.glob("*/.*.tmp")):
                left.unlink()
        except OSError as error:
            raise PgtfastError(
                f"--out {self.folder}: cannot be written ({error.strerror}); choose a folder that you may write to"
            ) from error
        with self._closed_on_error():
            # again: until the lock was held, another process may have begun or ended the run
            existing = self._existing()
            self.metadata: dict[str, Any] = existing or {"config": self.config, "finished": False}
            if existing is None:
                self.write_run()

    @classmethod
    def state(cls, folder: str | Path, config: Any) -> State:
        """Whether a run of this config is in the folder; nothing is claimed or written.

        Raises:
            PgtfastError: the folder holds other files, or a run of another config.
        """
        run = cls.__new__(cls)
        run.folder, run.config = Path(folder), as_json(config)
        existing = run._existing()
        return "new" if existing is None else "finished" if existing.get("finished") else "unfinished"

    @property
    def finished(self) -> bool:
        """Whether the run was finished, and not begun again since."""
        return bool(self.metadata.get("finished"))

    def write_run(self, **changes: Any) -> None:
        """Update run.json; a kill or a power cut leaves the former file or the new one."""
        self.metadata.update(changes)
        write_json(self.folder / RUN_FILE, self.metadata)

    def discard(self, *names: str) -> None:
        """Remove run.json, the lock and these files, and the folder where nothing else is in it: nothing of this run is
        worth keeping."""
        for name in (*names, RUN_FILE, LOCK_FILE):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds other things
            self.folder.rmdir()

    def close(self) -> None:
        """Let other processes write."""
        self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _closed_on_error(self):
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _existing(self) -> dict[str, Any] | None:
        """What run.json says, None in a folder for a new run; refuses a run of another config, and folders that are no
        run."""
        path = self.folder / RUN_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if self.folder.is_dir() and any(map(_is_content, self.folder.iterdir())):
                raise PgtfastError(
                    f"--out {self.folder}: holds files but no {RUN_FILE}, so it is no run; choose a new or empty folder"
                ) from None
            return None
        except OSError as error:
            raise PgtfastError(f"--out {self.folder}: cannot be read ({error.strerror}); wanted a folder") from error
        try:
            run = json.loads(text)
            existing, wanted = _flat(run["config"]), _flat(self.config)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PgtfastError(f"{path}: damaged ({type(error).__name__}: {error}); choose another --out") from error
        if existing != wanted:
            keys = sorted(k for k in {*existing, *wanted} if existing.get(k) != wanted.get(k))
            changed = "; ".join(f"{k}: {existing.get(k)!r} there, {wanted.get(k)!r} now" for k in keys)
            raise PgtfastError(
                f"--out {self.folder}: holds a run of another config ({changed}); choose another folder, or repeat "
                f"that config"
            )
        return run


def write_json(path: Path, value: Any) -> None:
    """Write JSON; a kill or a power cut leaves the former file or the new one."""
    with disk_errors(path), replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def as_json(value: Any) -> Any:
    """A config as plain JSON values; paths become text, dataclasses objects, tuples lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(content) for name, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(content) for content in value]
    return value.as_posix() if isinstance(value, Path) else value


def _flat(values: dict, head: str = "") -> dict[str, Any]:
    """Nested values by dotted names."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{head}{name}.") if isinstance(value, dict) else {f"{head}{name}": value}
    return out


def _is_content(path: Path) -> bool:
    """Whether something is more than what a run that was killed before its run.json leaves: hidden files, also in a
    folder."""
    if path.name.startswith("."):
        return False
    return not path.is_dir() or any(not inner.name.startswith(".") for inner in path.iterdir())
