"""Query a model server for its context window, through the interfaces that such servers have besides the chat API.

The names of paths and fields are from the servers' own documentation and source:

- llama-server, `GET /props`: `default_generation_settings.n_ctx`, the window of one slot (ggml-org/llama.cpp, tools/server/README.md).
- Ollama, `GET /api/ps`: `models[].context_length`, the window with which a model is loaded; `POST /api/show`: `parameters`, a text that
  contains `num_ctx` if the model's own file sets it, and `model_info["<architecture>.context_length"]`, the length it was trained on
  (ollama/ollama, api/types.go, docs/api.md). Without `num_ctx` the window is the server's own default, 4096 tokens, or more on machines
  with much memory (docs/context-length.mdx); 4096 is assumed until the model is loaded. A longer prompt is cut silently
  (server/prompt.go).
- LM Studio, `GET /api/v0/models`: `data[].loaded_context_length` of a loaded model, else `max_context_length`, the upper limit of the
  user's setting, which is 4096 unless changed (lmstudio-ai/docs, 1_developer/2_rest/endpoints.mdx).
- vLLM and others include it in the list of models: `max_model_len` (vllm-project/vllm, entrypoints/openai/protocol.py),
  `context_length` and similar names.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analystd.engine.openai.client import ChatApi
from analystd.models.local_servers import listed_name

_USUAL_DEFAULT = 4096
"""The default window of Ollama and LM Studio."""
_LISTED_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")
_NUM_CTX = re.compile(r"(?m)^\s*num_ctx\s+\"?(\d{1,9})\"?\s*$")
_MOST_TOKENS = 1 << 30


@dataclass(frozen=True)
class ContextWindow:
    """A context window in tokens. `is_certain` is False for the assumed default of a server."""

    tokens: int
    is_certain: bool = True


async def ask_window(api: ChatApi, model: str) -> ContextWindow | None:
    """Query a server, as llama-server, Ollama and LM Studio allow, for the window of a model. Returns None for other servers.

    Raises:
        UnreachableError: when no server answers.
    """
    props, loaded, shown, listed = await asyncio.gather(
        api.native("GET", "props"),
        api.native("GET", "api/ps"),
        api.native("POST", "api/show", {"model": model}),
        api.native("GET", "api/v0/models"),
    )
    found = (
        _slot_window(props),
        _loaded_window(loaded, model),
        _lm_studio_window(listed, model),
        _configured_window(shown),
    )
    return next((window for window in found if window is not None), None)


def window_in(about: dict[str, Any]) -> ContextWindow | None:
    """Return the window in a model's entry of a list of models."""
    for source in (about, _object(about.get("meta"))):
        for key in _LISTED_KEYS:
            if (tokens := _count(source.get(key))) is not None:
                return ContextWindow(tokens)
    return None


def _slot_window(props: Any) -> ContextWindow | None:
    tokens = _count(_object(_object(props).get("default_generation_settings")).get("n_ctx"))
    return None if tokens is None else ContextWindow(tokens)


def _loaded_window(processes: Any, model: str) -> ContextWindow | None:
    about = _named(model, "name", _objects(_object(processes).get("models")))
    tokens = _count(about.get("context_length"))
    return None if tokens is None else ContextWindow(tokens)


def _configured_window(shown: Any) -> ContextWindow | None:
    about = _object(shown)
    parameters = about.get("parameters")
    trained = _first(
        value for name, value in _object(about.get("model_info")).items() if name.endswith(".context_length")
    )
    if isinstance(parameters, str) and (found := _NUM_CTX.search(parameters)) and (chosen := _count(int(found[1]))):
        return ContextWindow(chosen if trained is None else min(chosen, trained))
    return None if trained is None else ContextWindow(min(trained, _USUAL_DEFAULT), is_certain=False)


def _lm_studio_window(listing: Any, model: str) -> ContextWindow | None:
    about = _named(model, "id", _objects(_object(listing).get("data")))
    if (loaded := _count(about.get("loaded_context_length"))) is not None:
        return ContextWindow(loaded)
    most = _count(about.get("max_context_length"))
    return None if most is None else ContextWindow(min(most, _USUAL_DEFAULT), is_certain=False)


def _named(model: str, key: str, listed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the entry of a model; empty where there is none."""
    name = listed_name(model, [str(each.get(key)) for each in listed])
    return next((each for each in listed if each.get(key) == name), {})


def _first(values: Iterable[Any]) -> int | None:
    return next((count for value in values if (count := _count(value)) is not None), None)


def _count(value: Any) -> int | None:
    """Return a number of tokens; None for other values."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS
    return value if is_count else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
