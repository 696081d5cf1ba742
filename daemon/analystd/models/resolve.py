"""Resolve which model to use: the one in `AGENT_MODEL_PATH`, or the most capable one that `analystd model pull` has fetched."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from analystd.config.settings import Settings
from analystd.models.embedded import embedded_models, fetched_model
from analystd.models.known_files import hub_sha256, sha256_of
from analystd.wire.errors import EngineUnavailableError

PULL_HINT = "Run `analystd model pull`, or set AGENT_MODEL_PATH to a GGUF file."

_GGUF_HEADER = struct.Struct("<4sIQQ")


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: weights for llama.cpp, or a script that plays a model."""

    path: Path
    kind: Literal["gguf", "script"]


def resolve_model(settings: Settings) -> ModelFile:
    """Return the model file to use.

    Raises:
        EngineUnavailableError: when there is none, or it is not a model; the hint says what to do.
    """
    if settings.model_path is None:
        path = fetched_model()
        if path is None:
            raise EngineUnavailableError("There is no model yet", PULL_HINT)
        return ModelFile(_checked_gguf(path), "gguf")
    path = Path(settings.model_path).expanduser().absolute()
    if not path.exists():
        raise EngineUnavailableError(f"The model {path} does not exist", PULL_HINT)
    if not path.is_file():
        raise EngineUnavailableError(
            f"The model {path} is not a file", "Set AGENT_MODEL_PATH to one GGUF file, not to its folder."
        )
    if path.suffix == ".jsonl":
        return ModelFile(path, "script")
    return ModelFile(_checked_gguf(path), "gguf")


def check_content(path: Path) -> None:
    """Verify a model of known content by its hash: one that was fetched by name, or one in Hugging Face's cache.

    For a large file, this takes seconds the first time; see `known_files`.

    Raises:
        EngineUnavailableError: when its content differs.
    """
    fetched = next((model for model in embedded_models() if model.path == path), None)
    expected = hub_sha256(path) if fetched is None else fetched.file.sha256
    try:
        if expected is None or sha256_of(path) == expected:
            return
    except OSError as exc:
        raise EngineUnavailableError(f"The model {path} cannot be read: {exc.strerror}") from exc
    raise EngineUnavailableError(
        f"{path} is not the expected file (its SHA-256 differs)",
        "Remove it and fetch it again." if fetched is None else PULL_HINT,
    )


def _checked_gguf(path: Path) -> Path:
    """Return the path if the file begins as a GGUF does. llama.cpp checks the rest."""
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
