"""Models fetched from Hugging Face: which files are meant, and what may be in the way of having them.

The API: https://huggingface.co/docs/hub/api. `HF_ENDPOINT` names a mirror, `HF_TOKEN` a token for what is not public, as with other tools.
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
"""What is fetched where nothing is said and there is a choice: small, and close to the original for most models."""

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
    """A repository, and which of its files: a name or a part of one, such as `Q4_K_M`."""

    repository: str
    wanted: str | None = None


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as the API tells of it."""

    path: str
    size: int
    sha256: str | None

    @property
    def name(self) -> str:
        """Its name without folders, which is all that may decide where it is put."""
        return PurePosixPath(self.path).name


def parse_reference(text: str) -> Reference:
    """What `owner/repository` or `owner/repository:file` means.

    Raises:
        InvalidArgumentsError: when it is neither.
    """
    match = _REFERENCE.fullmatch(text.removeprefix(f"{_HOME}/").removeprefix("hf.co/"))
    if match is None:
        raise InvalidArgumentsError(
            f"{text!r} is no repository of Hugging Face", "It looks like owner/repository or owner/repository:Q4_K_M."
        )
    return Reference(match["repository"], match["wanted"])


def choose_files(files: Sequence[HubFile], reference: Reference) -> list[HubFile]:
    """The files of the model that is meant: several where it comes in parts.

    Raises:
        EngineUnavailableError: when there is none.
        InvalidArgumentsError: when it is not clear which.
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
    there = ", ".join(chosen or models)
    raise InvalidArgumentsError(
        f"{reference.repository} has {len(chosen or models)} models"
        + (f", {len(chosen)} of them with {reference.wanted!r}" if reference.wanted else ""),
        f"Say which one as {reference.repository}:NAME. There are: {there}.",
    )


async def pull(
    reference: Reference, folder: Path, on_progress: OnProgress, environment: Mapping[str, str] = os.environ
) -> Path:
    """Fetch a model into `folder/owner/repository` and give its (first) file; what is there already is not fetched again.

    Raises:
        EngineUnavailableError: when it cannot be reached, is refused, does not fit on the disk, or is not what the API tells of.
        InvalidArgumentsError: when it is not clear which file is meant.
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
    """Fetch one file whose content is known; gives None, or why it cannot be had there. What has come of it is kept.

    Raises:
        EngineUnavailableError: when what came is not what it should be, or somebody else is fetching it.
        OSError: when it cannot be stored.
    """
    endpoint = (environment.get("HF_ENDPOINT") or _HOME).rstrip("/")
    source = _source(endpoint, repository, file, _authorization(endpoint, environment.get("HF_TOKEN")))
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            # Asked once and shortly: where nothing of the network can be reached, there are other ways.
            await client.head(endpoint, timeout=_REACH_SECONDS)
            await fetch(client, source, target, lambda there: on_progress(there, file.size))
    except httpx.HTTPStatusError as exc:
        return f"{endpoint} answers {exc.response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return f"{endpoint} cannot be reached ({type(exc).__name__})"
    return None


async def _fetch_all(
    client: httpx.AsyncClient, downloads: Sequence[tuple[DownloadSource, Path]], on_progress: OnProgress
) -> None:
    total, before = sum(source.size for source, _ in downloads), 0

    def tell(there: int) -> None:
        on_progress(before + there, total)

    for source, path in downloads:
        await fetch(client, source, path, tell)
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
    """A file as the API has it. Only of files outside the repository proper ("LFS"), as models are, a hash is told."""
    checksum, size = (about.get("lfs") or {}).get("oid"), int(about["size"])
    if size < 0 or (checksum is not None and not _SHA256.fullmatch(str(checksum))):
        raise ValueError
    return HubFile(str(about["path"]), size, checksum)


def _source(endpoint: str, repository: str, file: HubFile, headers: Mapping[str, str]) -> DownloadSource:
    return DownloadSource(f"{endpoint}/{repository}/resolve/main/{quote(file.path)}", file.size, file.sha256, headers)


def _authorization(endpoint: str, token: str | None) -> dict[str, str]:
    """The token goes to Hugging Face itself and to nobody else: neither to a mirror nor to where it redirects."""
    host = httpx.URL(endpoint).host
    if not token or not endpoint.startswith("https://") or not f".{host}".endswith(".huggingface.co"):
        return {}
    return {"Authorization": f"Bearer {token}"}


def _check_room(downloads: Sequence[tuple[DownloadSource, Path]], folder: Path) -> None:
    needed = sum(missing_bytes(source, path) for source, path in downloads)
    free = shutil.disk_usage(folder).free
    if needed and needed + _SPARE_BYTES > free:
        raise EngineUnavailableError(
            f"The model takes {gib(needed)} more on the disk of {folder}, where {gib(free)} are free",
            "Make room, choose a smaller quantisation, or have XDG_CACHE_HOME name a folder on another disk.",
        )


@contextmanager
def _as_engine_errors(endpoint: str, repository: str, folder: Path) -> Iterator[None]:
    """Whatever goes wrong as one sentence, without the token."""
    try:
        yield
    except httpx.HTTPStatusError as exc:
        raise _refusal(exc.response.status_code, endpoint, repository) from None
    except (httpx.TransportError, httpx.InvalidURL, httpx.TooManyRedirects) as exc:
        raise EngineUnavailableError(
            f"{repository} could not be fetched from {endpoint}: {type(exc).__name__}{f' ({exc})' if str(exc) else ''}",
            "Is the network allowed from here? What has come is kept, and the same command goes on from there. HF_ENDPOINT names a "
            "mirror; or fetch a GGUF elsewhere and run `analystd model use PATH`.",
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise EngineUnavailableError(
            f"{endpoint} does not answer as Hugging Face does", "HF_ENDPOINT says where it is."
        ) from None
    except OSError as exc:
        raise EngineUnavailableError(
            f"The model could not be stored in {folder}: {exc.strerror or exc}",
            "What has come is kept, and the same command goes on from there." if exc.errno == errno.ENOSPC else None,
        ) from exc


def _refusal(status: int, endpoint: str, repository: str) -> EngineUnavailableError:
    if status in (401, 403):
        return EngineUnavailableError(
            f"{endpoint} does not give out {repository} ({status}): it does not exist, is private, or has terms to be accepted",
            "Accept the terms on its page, and let HF_TOKEN hold a token that may read it.",
        )
    if status == 404:
        return EngineUnavailableError(
            f"{endpoint} has no {repository}, or not this file of it (404)", "Is the name spelt as on its page?"
        )
    if status == 429:
        return EngineUnavailableError(f"{endpoint} has too much to do (429)", "Try again later; HF_TOKEN gets more.")
    return EngineUnavailableError(f"{endpoint} failed with status {status}", "Try again later.")
