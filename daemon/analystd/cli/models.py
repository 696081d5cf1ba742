"""`model list`, `pull`, `use` and `show`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from analystd.cli.desk import tell_all
from analystd.cli.exit_status import EXIT_DONE
from analystd.cli.model_facts import entry_data, in_force_line, offer_lines, print_entries, print_model
from analystd.cli.output import inert
from analystd.cli.parser import Options
from analystd.cli.render import gigabytes, print_json
from analystd.client import connect_to_daemon
from analystd.config.folders import user_settings_file
from analystd.config.settings import Loaded, Settings, load_settings
from analystd.config.settings_file import change_file
from analystd.discovery.registry import live_cards
from analystd.engine.base import EngineInfo
from analystd.engine.factory import make_engine
from analystd.engine.openai.client import Server
from analystd.jail.resource_usage import memory
from analystd.jail.workspace_place import workspace_place
from analystd.models.catalog import ModelEntry, choose, find_models, look_at, model_folders
from analystd.models.embedded import choose_model, embedded_model, fetch_embedded, models_folder
from analystd.models.hugging_face import parse_reference, pull
from analystd.models.local_servers import LocalServer, find_offers, listed_name, models_at
from analystd.models.resolve import resolve_model
from analystd.wire.errors import AnalystdError, DaemonLostError, EngineUnavailableError, InvalidArgumentsError


async def model(options: Options) -> int:
    """Carry out the action that is asked for."""
    actions = {"list": _list, "pull": _pull, "use": _use, "show": _show}
    await actions[options.action](options)
    return EXIT_DONE


async def _list(options: Options) -> None:
    settings = _loaded(options).settings
    folders = model_folders(settings)
    entries, offers = await asyncio.gather(_entries(settings, folders), find_offers())
    in_force, available, info = _file_in_force(settings), memory().available, make_engine(settings).info()
    if not options.json:
        print_entries(entries, in_force, available)
        print(in_force_line(info))
        for offer in offers:
            print("\n".join(offer_lines(offer)))
        return
    print_json(
        {
            "files": [entry_data(entry, in_force, available) for entry in entries],
            "servers": [_offer_data(offer) for offer in offers],
            "folders": [str(folder) for folder in folders],
            "available_bytes": available,
            "in_force": _info_data(info),
        }
    )


async def _pull(options: Options) -> None:
    choice = choose_model() if options.name is None else None
    model = embedded_model(options.name) if choice is None else choice.model
    if choice is not None:
        print(f"{choice.model.name}: {choice.reason}", file=sys.stderr)
    if model is not None:
        path = await fetch_embedded(model, _print_progress)
    else:
        path = await pull(parse_reference(options.name), models_folder(), _print_progress)
    entry = look_at(path)
    if options.json:
        print_json({"path": str(path), "bytes": entry.file_bytes})
        return
    print(f"path: {path}\nbytes: {entry.file_bytes}")
    if model is None:
        print(entry.problem or f"`analystd model use {path.stem}` puts it into your settings.")


async def _use(options: Options) -> None:
    changes, notes = await _changes(options)
    file = user_settings_file()
    try:
        change_file(file, changes)
    except OSError as exc:
        raise InvalidArgumentsError(f"{file} could not be changed: {exc.strerror}") from exc
    settings = {name: _shown(name, value) for name, value in changes.items() if value is not None}
    loaded = _loaded(options)
    notes += [
        f"{name} from {loaded.sources[name]} wins over it."
        for name in changes
        if loaded.sources.get(name, str(file)) != str(file)
    ]
    running = bool(live_cards())
    if options.json:
        print_json({"file": str(file), "settings": settings, "notes": notes, "daemon_running": running})
        return
    print(f"{file} has now: {', '.join(f'{name}={value}' for name, value in settings.items())}")
    for note in notes:
        print(note)
    if running:
        print(
            "The daemon that is running has the model that it began with; `analystd stop`, and the next start takes this one."
        )


async def _changes(options: Options) -> tuple[dict[str, str | None], list[str]]:
    """What is to be set for the model that is meant, and what the user should know about it.

    Raises:
        InvalidArgumentsError: when no model is meant, or several.
    """
    name: str = options.name
    if name.startswith(("http://", "https://")):
        return _of_server(name, options.model), await _server_notes(name, options.model)
    if options.model is not None:
        raise InvalidArgumentsError(f"{name!r} is no server's URL", "MODEL chooses among the models of a server.")
    settings = _loaded(options).settings
    path = Path(name).expanduser()
    if path.is_file():
        entry: ModelEntry | None = look_at(path.absolute(), settings.context_tokens)
    else:
        entry = choose(name, await _entries(settings, model_folders(settings)))
    if entry is not None:
        return _of_file(entry)
    for offer in await find_offers():
        if (listed := listed_name(name, offer.models)) is not None:
            return _of_server(offer.url, listed), []
    raise InvalidArgumentsError(
        f"No model here is named {name!r}", "`analystd model list` names them; a path or a server's URL will do too."
    )


def _of_server(url: str, name: str | None) -> dict[str, str | None]:
    return {"AGENT_MODEL_URL": url, "AGENT_MODEL_NAME": name}


def _shown(name: str, value: str) -> str:
    """A setting's value, of a URL without what may be secret in it."""
    return Server(value).shown if name == "AGENT_MODEL_URL" else value


async def _server_notes(url: str, name: str | None) -> list[str]:
    models = await models_at(url)
    if models is None:
        return ["No model server answers there now, or it wants a key (AGENT_MODEL_API_KEY)."]
    if name is None and len(models) > 1:
        return [f"It has {len(models)} models, and MODEL chooses: {', '.join(models)}"]
    return (
        []
        if name is None or listed_name(name, models)
        else [f"It names no model {name!r}; it has: {', '.join(models)}"]
    )


def _of_file(entry: ModelEntry) -> tuple[dict[str, str | None], list[str]]:
    if entry.problem is not None and entry.path.suffix != ".jsonl":
        raise EngineUnavailableError(entry.problem, "Nothing was changed.")
    if entry.header is not None and not entry.can_talk:
        raise InvalidArgumentsError(f"{entry.path} is no model but of type {entry.header.kind}", "Nothing was changed.")
    notes = []
    if entry.header is not None and not entry.header.has_chat_template:
        notes.append("It has no chat template, so it is hardly a model to talk with; one tuned to instructions has.")
    if entry.needs is not None and entry.needs.total > memory().available:
        notes.append("It does not fit into the memory that is available now; `analystd model show` has the numbers.")
    return {"AGENT_MODEL_PATH": str(entry.path), "AGENT_MODEL_URL": None, "AGENT_MODEL_NAME": None}, notes


async def _show(options: Options) -> None:
    loaded = _loaded(options)
    settings = loaded.settings
    info = make_engine(settings).info()
    file = _file_in_force(settings)
    entry = None if file is None else await asyncio.to_thread(look_at, file, settings.context_tokens)
    engine = await _running_engine()
    name = "AGENT_MODEL_PATH" if settings.model_url is None else "AGENT_MODEL_URL"
    source = loaded.sources.get(name, "the embedded default")
    if not options.json:
        print_model(info, source, entry, memory().available, engine)
        return
    available = memory().available
    file_data = None if entry is None else entry_data(entry, file, available)
    print_json(
        {**_info_data(info), "source": source, "file": file_data, "available_bytes": available, "daemon": engine}
    )


async def _running_engine() -> dict[str, Any] | None:
    """What a daemon that is running tells of its model; None where there is neither."""
    try:
        async with await connect_to_daemon() as client:
            engine: dict[str, Any] | None = (await client.status())["engine"]
    except DaemonLostError:
        return None
    return engine


async def _entries(settings: Settings, folders: list[Path]) -> list[ModelEntry]:
    entries = await asyncio.to_thread(find_models, folders, settings.context_tokens)
    in_force = _file_in_force(settings)
    if in_force is not None and not any(entry.path == in_force for entry in entries):
        entries.insert(0, look_at(in_force, settings.context_tokens))
    return entries


def _file_in_force(settings: Settings) -> Path | None:
    """The model's file, where it is a GGUF that is there."""
    if settings.model_url is not None:
        return None
    try:
        found = resolve_model(settings)
    except AnalystdError:
        return None
    return found.path if found.kind == "gguf" else None


def _loaded(options: Options) -> Loaded:
    """The settings of the project that the command is run in."""
    place = workspace_place(Path.cwd(), options.workspace)
    loaded = load_settings(os.environ, place.resolve().parent)
    tell_all(loaded.problems)
    return loaded


def _info_data(info: EngineInfo) -> dict[str, Any]:
    return {"model": info.model, "kind": info.kind, "note": info.note, "goes": info.goes}


def _offer_data(offer: LocalServer) -> dict[str, Any]:
    return {"server": offer.server, "url": offer.url, "models": list(offer.models)}


def _print_progress(done: int, total: int) -> None:
    trail = inert(sys.stderr)
    if trail.is_terminal:
        trail.write_in_place(f"{gigabytes(done)} of {gigabytes(total)} ({100 * done // max(total, 1)} %)")
        trail.write("\n" if done >= total else "")
        trail.flush()
