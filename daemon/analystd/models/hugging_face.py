"""Fetch models from Hugging Face: find the requested files, and explain why they cannot be fetched.

The API: https://huggingface.co/docs/hub/api. As with other tools, `HF_ENDPOINT` is the address of a mirror, and `HF_TOKEN` a token for
repositories that are not public.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from analystd.models.bounded_http import UNCOMPRESSED, Bounds, answer_head, content, parsed
from analystd.models.download import HEAD_SECONDS, DownloadSource, fetch, missing_bytes
from analystd.models.memory_estimate import gib
from analystd.models.wheel import OnProgress
from analystd.wire.errors import EngineUnavailableError, InvalidArgumentsError

DEFAULT_QUANTISATION = "Q4_K_M"
"""The default choice between several files: small, and close to the original for most models."""

_HOME = "https://huggingface.co"
_REFERENCE = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?::(?P<wanted>.+))?", re.ASCII)
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf\Z)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_REACH_SECONDS = 8.0
_MOST_LISTING_BYTES = 16 << 20
_LISTING_SECONDS = 120.0
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Reference:
    """A repository, and optionally a file name or a part of one, such as `Q4_K_M`."""

    repository: str
    wanted: str | None = None


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as the API describes it."""

    path: str
    size: int
    sha256: str | None

    @property
    def name(self) -> str:
        """The name without folders, the only part that is used for the local path."""
        return PurePosixPath(self.path).name


def parse_reference(text: str) -> Reference:
    """Parse `owner/repository` or `owner/repository:file`.

    Raises:
        InvalidArgumentsError: when it is neither.
    """
    match = _REFERENCE.fullmatch(text.removeprefix(f"{_HOME}/").removeprefix("hf.co/"))
    if match is None:
        raise InvalidArgumentsError(
            f"{text!r} is not a repository of Hugging Face", "Write it as owner/repository or owner/repository:Q4_K_M."
        )
    return Reference(match["repository"], match["wanted"])


def choose_files(files: Sequence[HubFile], reference: Reference) -> list[HubFile]:
    """Return the files of the requested model; several where it is split into parts.

    Raises:
        EngineUnavailableError: when there is none.
        InvalidArgumentsError: when the choice is ambiguous.
    """
    models: dict[str, list[HubFile]] = {}
    for file in sorted(files, key=lambda each: each.path):
        name = file.name.lower()
        if name.endswith(".gguf") and not name.startswith("mmproj") and name.isprintable():
            models.setdefault(_PART.sub("", file.path), []).append(file)
    if not models:
        raise EngineUnavailableError(
            f"{reference.repository} has no GGUF file", "Many models have one in a repository whose name ends in -GGUF."
        )
    wanted = (reference.wanted or DEFAULT_QUANTISATION).lower()
    chosen = [name for name in models if wanted in (name.lower(), PurePosixPath(name).name.lower())]
    chosen = chosen or [name for name in models if wanted in name.lower()]
    if reference.wanted is None and len(models) == 1:
        chosen = list(models)
    if len(chosen) == 1:
        return models[chosen[0]]
    names = ", ".join(chosen or models)
    raise InvalidArgumentsError(
        f"{reference.repository} has {len(chosen or models)} models"
        + (f", {len(chosen)} of them with {reference.wanted!r}" if reference.wanted else ""),
        f"Choose one of them as {reference.repository}:NAME, with NAME from: {names}.",
    )


async def pull(
    reference: Reference, folder: Path, on_progress: OnProgress, environment: Mapping[str, str] = os.environ
) -> Path:
    """Fetch a model into `folder/owner/repository`, unless it is there, and return its (first) file.

    Raises:
        EngineUnavailableError: when it cannot be reached, access is refused, it does not fit on the disk, or its content is not the expected one.
        InvalidArgumentsError: when the choice of the file is ambiguous.
    """
    endpoint = (environment.get("HF_ENDPOINT") or _HOME).rstrip("/")
    headers = _authorization(endpoint, environment.get("HF_TOKEN"))
    target = folder / reference.repository
    with _as_engine_errors(endpoint, reference.repository, target):
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            files = choose_files(await _files(client, endpoint, reference.repository, headers), reference)
            downloads = [(_source(endpoint, reference.repository, each, headers), target / each.name) for each in files]
            target.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_check_room, downloads, target)
            await _fetch_all(client, downloads, on_progress)
    return downloads[0][1]


async def fetch_file(
    repository: str, file: HubFile, target: Path, on_progress: OnProgress, environment: Mapping[str, str] = os.environ
) -> str | None:
    """Fetch one file of known content, and return None, or the reason why it cannot be fetched there. The downloaded part is kept.

    Raises:
        EngineUnavailableError: when the content is not the expected one, or another process fetches the file.
        OSError: when it cannot be stored.
    """
    endpoint = (environment.get("HF_ENDPOINT") or _HOME).rstrip("/")
    source = _source(endpoint, repository, file, _authorization(endpoint, environment.get("HF_TOKEN")))
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            # Tried once with a short timeout: without access to the network, the package index may still be reachable.
            await client.head(endpoint, timeout=_REACH_SECONDS)
            await fetch(client, source, target, lambda count: on_progress(count, file.size))
    except httpx.HTTPStatusError as exc:
        return f"{endpoint} answers {exc.response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return f"{endpoint} cannot be reached ({type(exc).__name__})"
    return None


async def _fetch_all(
    client: httpx.AsyncClient, downloads: Sequence[tuple[DownloadSource, Path]], on_progress: OnProgress
) -> None:
    total, before = sum(source.size for source, _ in downloads), 0

    def report(count: int) -> None:
        on_progress(before + count, total)

    for source, path in downloads:
        await fetch(client, source, path, report)
        before += source.size


async def _files(
    client: httpx.AsyncClient, endpoint: str, repository: str, headers: Mapping[str, str]
) -> list[HubFile]:
    url = f"{endpoint}/api/models/{repository}/tree/main?recursive=true"
    request = client.build_request("GET", url, headers={**headers, **UNCOMPRESSED})
    response = await answer_head(client, request, seconds=HEAD_SECONDS, redirects=True)
    try:
        response.raise_for_status()
        listing = await content(response, Bounds(endpoint, _MOST_LISTING_BYTES, seconds=_LISTING_SECONDS))
    finally:
        await response.aclose()
    return [_file(each) for each in parsed(listing) if each["type"] == "file"]


def _file(about: dict[str, Any]) -> HubFile:
    """Return a file as the API describes it. The API has hashes only of files outside the git repository (LFS), as models are."""
    checksum, size = (about.get("lfs") or {}).get("oid"), int(about["size"])
    if size < 0 or (checksum is not None and not _SHA256.fullmatch(str(checksum))):
        raise ValueError
    return HubFile(str(about["path"]), size, checksum)


def _source(endpoint: str, repository: str, file: HubFile, headers: Mapping[str, str]) -> DownloadSource:
    return DownloadSource(f"{endpoint}/{repository}/resolve/main/{quote(file.path)}", file.size, file.sha256, headers)


def _authorization(endpoint: str, token: str | None) -> dict[str, str]:
    """Return the header with the token, for Hugging Face only: never for a mirror or the target of a redirect."""
    host = httpx.URL(endpoint).host
    if not token or not endpoint.startswith("https://") or not f".{host}".endswith(".huggingface.co"):
        return {}
    return {"Authorization": f"Bearer {token}"}


def _check_room(downloads: Sequence[tuple[DownloadSource, Path]], folder: Path) -> None:
    needed = sum(missing_bytes(source, path) for source, path in downloads)
    free = shutil.disk_usage(folder).free
    if needed and needed + _SPARE_BYTES > free:
        raise EngineUnavailableError(
            f"The model needs {gib(needed)} more on the disk of {folder}, which has {gib(free)} free",
            "Free some space, choose a smaller quantisation, or set XDG_CACHE_HOME to a folder on another disk.",
        )


@contextmanager
def _as_engine_errors(endpoint: str, repository: str, folder: Path) -> Iterator[None]:
    """Convert all errors to `EngineUnavailableError`, without the token."""
    try:
        yield
    except httpx.HTTPStatusError as exc:
        raise _refusal(exc.response.status_code, endpoint, repository) from None
    except (httpx.TransportError, httpx.InvalidURL, httpx.TooManyRedirects) as exc:
        raise EngineUnavailableError(
            f"{repository} could not be fetched from {endpoint}: {type(exc).__name__}{f' ({exc})' if str(exc) else ''}",
            "Check the network connection. The downloaded part is kept; run the same command again to continue. Set HF_ENDPOINT to "
            "use a mirror, or download a GGUF file elsewhere and run `analystd model use PATH`.",
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise EngineUnavailableError(
            f"{endpoint} does not answer as Hugging Face does", "Check HF_ENDPOINT, which holds its address."
        ) from None
    except OSError as exc:
        raise EngineUnavailableError(
            f"The model could not be stored in {folder}: {exc.strerror or exc}",
            "The downloaded part is kept; run the same command again to continue."
            if exc.errno == errno.ENOSPC
            else None,
        ) from exc


def _refusal(status: int, endpoint: str, repository: str) -> EngineUnavailableError:
    if status in (401, 403):
        return EngineUnavailableError(
            f"{endpoint} refuses access to {repository} ({status}): it does not exist, is private, or requires its terms to be accepted",
            "Accept the terms on its page, and set HF_TOKEN to a token that may read it.",
        )
    if status == 404:
        return EngineUnavailableError(
            f"{endpoint} has no {repository}, or the repository lacks this file (404)",
            "Check the spelling of the name.",
        )
    if status == 429:
        return EngineUnavailableError(
            f"{endpoint} is too busy (429)", "Try again later; with HF_TOKEN more requests are allowed."
        )
    return EngineUnavailableError(f"{endpoint} failed with status {status}", "Try again later.")
