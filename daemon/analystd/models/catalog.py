"""Find the available models: GGUF files in the usual folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analystd.config.settings import Settings
from analystd.models.embedded import models_folder
from analystd.models.gguf import GgufHeader, read_header
from analystd.models.memory_estimate import MemoryEstimate, is_later_part, needs_of
from analystd.wire.errors import EngineUnavailableError, InvalidArgumentsError

USUAL_FOLDERS = ("~/.cache/huggingface/hub", "~/.lmstudio/models", "~/models")
"""Where other programs and users keep models: the hub of Hugging Face, LM Studio, and a folder in the home folder."""

_DEEPEST = 6
_MOST_FILES = 500


@dataclass(frozen=True)
class ModelEntry:
    """A model file: its header, or what is wrong with it."""

    path: Path
    file_bytes: int
    """The size of all its parts."""
    header: GgufHeader | None = None
    needs: MemoryEstimate | None = None
    problem: str | None = None

    @property
    def can_talk(self) -> bool:
        """Whether it can be used as the model: it is a whole model, not an adapter or a part."""
        return self.header is not None and self.header.kind == "model"


def model_folders(settings: Settings) -> list[Path]:
    """Return the existing folders to search: the cache's, those of `AGENT_MODEL_DIRS`, and the usual ones."""
    folders = [
        models_folder(),
        *(Path(each).expanduser() for each in (*settings.model_dirs, *USUAL_FOLDERS)),
    ]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def find_models(folders: Sequence[Path], context_tokens: int = 0) -> list[ModelEntry]:
    """Return the models in these folders, each file once, sorted by name. Their needs are estimated for `context_tokens`."""
    found: dict[tuple[int, int], Path] = {}
    for path in (path for folder in folders for path in _files(folder)):
        try:
            status = path.stat()
        except OSError:
            # A dangling link, or a file that was removed meanwhile.
            continue
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe waits for its other end.
            continue
        found.setdefault((status.st_dev, status.st_ino), path)
        if len(found) == _MOST_FILES:
            break
    entries = (look_at(path, context_tokens) for path in found.values())
    return sorted(entries, key=lambda entry: entry.path.name.lower())


def look_at(path: Path, context_tokens: int = 0) -> ModelEntry:
    """Return the entry of one file. Never raises: `problem` says what is wrong."""
    size = 0
    try:
        size = path.stat().st_size
        header = read_header(path)
        needs = needs_of(header, context_tokens)
    except OSError as exc:
        return ModelEntry(path, size, problem=f"{path} cannot be read: {exc.strerror}")
    except EngineUnavailableError as exc:
        return ModelEntry(path, size, problem=exc.message)
    return ModelEntry(path, max(size, needs.weights), header, needs)


def choose(name: str, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """Return the entry whose file name is, or contains, a name; None where there is none.

    Raises:
        InvalidArgumentsError: when several match; the hint names them.
    """
    wanted = name.lower()
    candidates = [entry for entry in entries if wanted in entry.path.name.lower()]
    exact = [entry for entry in candidates if wanted in (entry.path.name.lower(), entry.path.stem.lower())]
    chosen = exact or candidates
    if len(chosen) > 1:
        names = ", ".join(str(entry.path) if exact else entry.path.name for entry in chosen)
        raise InvalidArgumentsError(f"{name!r} matches {len(chosen)} models", f"Choose one of them: {names}.")
    return chosen[0] if chosen else None


def _files(folder: Path) -> Iterator[Path]:
    """Yield the GGUF files below a folder. Links to files are followed (the hub consists of them), links to folders are not."""
    for parent, names, files in os.walk(folder):
        depth = len(Path(parent).relative_to(folder).parts)
        names[:] = sorted(each for each in names if not each.startswith(".")) if depth < _DEEPEST else []
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix.lower() == ".gguf" and not is_later_part(path):
                yield path
