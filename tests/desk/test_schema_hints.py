from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from analystd.data.base import DataService, FileInJail, Source
from analystd.data.view_request import ViewRequest
from analystd.data.worker_client import DataWorker
from analystd.desk import schema_hints
from analystd.desk.schema_hints import SchemaHints
from analystd.engine.base import ToolSpec
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.tools.data_view import DATA_VIEW
from analystd.tools.files import READ_FILE
from analystd.wire.errors import WorkspaceError


class Folder:
    """A data service with these files, and columns for those that are tables."""

    def __init__(self, **columns: list[str] | None) -> None:
        self.columns = {name.replace("_csv", ".csv").replace("__", "/"): value for name, value in columns.items()}
        self.truncated = False
        self.version = 1
        self.looks = 0
        self.pause = 0.0

    async def list_files(self, path: str, *, pattern: str | None = None, recursive: bool = False) -> dict[str, Any]:
        assert recursive
        await asyncio.sleep(self.pause)
        entries = [{"name": name, "type": "file", "size": 1, "modified": self.version} for name in self.columns]
        return {"entries": [*entries, {"name": "sub", "type": "folder"}], "truncated": self.truncated}

    async def view(self, source: Source, request: ViewRequest, on_progress: object = None) -> dict[str, Any]:
        self.looks += 1
        columns = self.columns[source.path]  # type: ignore[union-attr]
        if columns is None:
            raise WorkspaceError("That is no table")
        return {"columns": [{"name": name, "type": "text"} for name in columns]}

    def names_for(self, question: str) -> SchemaHints:
        service: DataService = self  # type: ignore[assignment]
        return SchemaHints(service, question)


def path(tools: tuple[ToolSpec, ...]) -> Any:
    return tools[0].parameters["properties"]["path"].get("enum")


def columns(tools: tuple[ToolSpec, ...]) -> Any:
    return tools[0].parameters["properties"]["columns"]["items"].get("enum")


async def test_files_are_offered_by_name_and_the_columns_of_those_that_are_asked_for() -> None:
    narrow = Folder(prices_csv=["close", "open"], sub__ticks_csv=["at"]).names_for("What is in prices.csv?")
    tools = await narrow((DATA_VIEW, READ_FILE))
    assert (path(tools), columns(tools)) == (["prices.csv", "sub/ticks.csv"], ["close", "open"])
    assert path(tools[1:]) == ["prices.csv", "sub/ticks.csv"]


async def test_a_question_without_a_file_leaves_columns_free() -> None:
    tools = await Folder(prices_csv=["close"]).names_for("Which files are there?")((DATA_VIEW,))
    assert (path(tools), columns(tools)) == (["prices.csv"], None)


async def test_columns_are_looked_up_once_while_the_file_is_the_same() -> None:
    folder = Folder(prices_csv=["close"])
    narrow = folder.names_for("prices.csv?")
    await narrow((DATA_VIEW,))
    await narrow((DATA_VIEW,))
    assert folder.looks == 1
    folder.columns, folder.version = {"prices.csv": ["open"], "new.csv": []}, 2
    tools = await narrow((DATA_VIEW,))
    assert (path(tools), columns(tools)) == (["prices.csv", "new.csv"], ["open"])


async def test_a_file_that_is_no_table_leaves_columns_free() -> None:
    tools = await Folder(prices_csv=None).names_for("prices.csv?")((DATA_VIEW,))
    assert (path(tools), columns(tools)) == (["prices.csv"], None)


async def test_a_folder_of_parquet_files_can_be_named_as_a_table() -> None:
    folder = Folder()
    folder.columns = {"year/1.parquet": [], "year/2.parquet": [], "a.csv": []}
    assert path(await folder.names_for("?")((DATA_VIEW,))) == ["year/1.parquet", "year/2.parquet", "a.csv", "year"]


@pytest.mark.parametrize(
    "question", ["What is in prizes.csv?", "Look at old/sales.parquet and prices.csv", "notes.TXT?"]
)
async def test_a_question_about_a_file_that_is_not_there_is_not_answered_from_another(question: str) -> None:
    assert path(await Folder(prices_csv=["close"]).names_for(question)((DATA_VIEW,))) is None


async def test_a_listing_that_is_cut_or_shows_names_as_escapes_holds_to_nothing() -> None:
    folder = Folder(prices_csv=["close"])
    folder.truncated = True
    assert await folder.names_for("prices.csv?")((DATA_VIEW,)) == (DATA_VIEW,)
    folder = Folder(prices_csv=["close"])
    folder.columns["a\\nb.csv"] = []
    assert await folder.names_for("prices.csv?")((DATA_VIEW,)) == (DATA_VIEW,)


async def test_a_reply_does_not_wait_long_for_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_hints, "LOOK_SECONDS", 0.01)
    folder = Folder(prices_csv=["close"])
    folder.pause = 30
    narrow = folder.names_for("prices.csv?")
    assert await narrow((DATA_VIEW,)) == (DATA_VIEW,)
    folder.pause = 0
    assert await narrow((DATA_VIEW,)) == (DATA_VIEW,), "what took too long is not tried again for this question"


async def test_a_real_listing_has_paths_that_the_tools_take(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / 'say "hi" Zürich.csv').write_text('"the ""one""",b\n1,2\n')
    (folder / "notes.txt").write_text("-")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    data = DataWorker(Workspace(folder, max_gb=0.01, min_free_ram_percent=0), await measure_sandbox("auto"), runtime)
    try:
        await data.list_files(".")
        tools = await SchemaHints(data, 'What is in "say "hi" Zürich.csv"?')((DATA_VIEW,))
        assert path(tools) == ['deep/er/say "hi" Zürich.csv', "notes.txt"]
        assert columns(tools) == ['the "one"', "b"]
        for name in path(tools)[:1]:
            view = await data.view(FileInJail(name), ViewRequest("head", columns=tuple(columns(tools))))
            assert view["num_columns"] == 2
    finally:
        await data.aclose()
