"""How models look in a terminal, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analystd.cli.render import engine_lines, table
from analystd.engine.base import EngineInfo
from analystd.models.catalog import ModelEntry
from analystd.models.local_servers import LocalServer
from analystd.models.memory_estimate import gib
from analystd.util.inert_text import one_line

_HEAD = ["", "name", "size", "architecture", "parameters", "stored as", "context", "template", "memory"]
_MODELS_SHOWN = 20


def entry_data(entry: ModelEntry, in_force: Path | None, available: int) -> dict[str, Any]:
    """A model for programs; what its header does not tell, or could not, is null."""
    header, needs = entry.header, entry.needs
    return {
        "path": str(entry.path),
        "bytes": entry.file_bytes,
        "kind": header and header.kind,
        "architecture": header and header.architecture,
        "parameters": header and header.parameters,
        "quantisation": header and header.quantisation,
        "context_tokens": header and header.context_tokens,
        "chat_template": header and header.has_chat_template,
        "needs_bytes": needs and needs.total,
        "fits": needs and needs.total <= available,
        "in_force": _is_same(entry.path, in_force),
        "problem": entry.problem,
    }


def print_entries(entries: Sequence[ModelEntry], in_force: Path | None, available: int) -> None:
    """The models as a table, then what is wrong with those that are broken."""
    whole = [entry for entry in entries if entry.header is not None]
    if whole:
        print(table([_row(entry, in_force, available) for entry in whole], _HEAD))
        print(f"{gib(available)} of memory are available. `analystd model use NAME` puts one into your settings.")
    else:
        print("There is no model yet. `analystd model pull` fetches a small one.")
    for entry in entries:
        if entry.problem is not None:
            print(f"broken: {one_line(entry.problem)}")


def in_force_line(info: EngineInfo) -> str:
    """What would be loaded or asked, and what is in the way of it."""
    more = "; ".join(each for each in (info.goes, info.note) if each)
    return one_line(f"In force (*): {info.model or 'no model'} ({info.kind})" + (f"; {more}" if more else ""))


def offer_lines(offer: LocalServer) -> Iterator[str]:
    """A server's models, and the settings that they take."""
    shown = ", ".join(offer.models[:_MODELS_SHOWN]) + (", …" if len(offer.models) > _MODELS_SHOWN else "")
    yield f"{offer.server} at {offer.url} has: {shown or 'no model'}"
    if offer.models:
        yield f"  AGENT_MODEL_URL={offer.url}"
        yield f"  AGENT_MODEL_NAME={offer.models[0]}"


def print_model(
    info: EngineInfo, source: str, entry: ModelEntry | None, available: int, engine: Mapping[str, Any] | None
) -> None:
    """The model in force, and how the daemon does with it."""
    lines = {"model": info.model, "kind": info.kind, "from": source, "note": info.note, "goes": info.goes}
    if entry is not None:
        lines |= {"file": _facts(entry), "needs": _needs(entry, available)}
    lines["daemon"] = "no daemon is running, or it was not asked for a model yet" if engine is None else _state(engine)
    print("\n".join(f"{name}: {one_line(value)}" for name, value in lines.items() if value))


def _row(entry: ModelEntry, in_force: Path | None, available: int) -> list[str]:
    header = entry.header
    assert header is not None
    return [
        "*" if _is_same(entry.path, in_force) else "",
        one_line(entry.path.name),
        gib(entry.file_bytes),
        one_line(header.architecture) if entry.can_talk else f"{one_line(header.architecture)} {one_line(header.kind)}",
        _count(header.parameters),
        header.quantisation or "?",
        str(header.context_tokens or "?"),
        "yes" if header.has_chat_template else "no",
        "" if entry.needs is None else f"{gib(entry.needs.total)}, {_fits(entry, available)}",
    ]


def _facts(entry: ModelEntry) -> str | None:
    if entry.header is None:
        return entry.problem
    header = entry.header
    return ", ".join(
        [
            gib(entry.file_bytes),
            header.architecture or "unknown architecture",
            f"{_count(header.parameters)} parameters",
            header.quantisation or "unknown quantisation",
            f"up to {header.context_tokens} tokens" if header.context_tokens else "unknown context",
            "a chat template" if header.has_chat_template else "no chat template",
        ]
    )


def _needs(entry: ModelEntry, available: int) -> str | None:
    needs = entry.needs
    if needs is None:
        return None
    return (
        f"{gib(needs.total)} of memory ({gib(needs.weights)} weights, {gib(needs.cache)} for a context of {needs.window} "
        f"tokens) without a GPU; {gib(available)} are available, so it {_fits(entry, available)}"
    )


def _state(engine: Mapping[str, Any]) -> str:
    state = "loaded" if engine["loaded"] else "not loaded"
    return "; ".join([f"{state} ({engine['model']})", *engine_lines(engine)])


def _fits(entry: ModelEntry, available: int) -> str:
    return "fits" if entry.needs is not None and entry.needs.total <= available else "does not fit"


def _is_same(path: Path, other: Path | None) -> bool:
    return other is not None and path.resolve() == other.resolve()


def _count(parameters: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6)):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return str(parameters)
