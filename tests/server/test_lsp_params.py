from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from lsprotocol import types

from analystd.server.lsp_params import lsp_schema, structured_params
from analystd.wire.errors import InvalidArgumentsError

DOCUMENT = {"uri": "file:///a", "languageId": "text", "version": 1, "text": "x"}


def strictly(annotation: Any, value: Any) -> bool:
    return Draft202012Validator(lsp_schema(annotation, strict=True)).is_valid(value)


@pytest.mark.parametrize("method", sorted(types.METHOD_TO_TYPES))
def test_every_message_of_lsp_has_a_schema(method: str) -> None:
    message, response, params, _ = types.METHOD_TO_TYPES[method]
    for each in (message, response, params):
        if each is not None:
            for strict in (True, False):
                Draft202012Validator.check_schema(lsp_schema(each, strict=strict))


def test_parameters_become_lsprotocols_objects() -> None:
    params = structured_params("textDocument/didOpen", {"textDocument": DOCUMENT})
    assert params == types.DidOpenTextDocumentParams(types.TextDocumentItem("file:///a", "text", 1, "x"))
    assert structured_params("shutdown", None) is None
    assert structured_params("initialized", None) == types.InitializedParams()


def test_what_lsp_does_not_know_and_null_for_what_may_be_missing_are_accepted() -> None:
    params = structured_params("workspace/executeCommand", {"command": "c", "arguments": None, "of LSP 4": {}})
    assert params == types.ExecuteCommandParams("c")


@pytest.mark.parametrize(
    ("method", "params", "words", "hint"),
    [
        ("workspace/executeCommand", {"command": 7}, "7 is not of type 'string'", "Look at 'command'."),
        ("workspace/executeCommand", {}, "'command' is a required property", None),
        ("workspace/executeCommand", None, "None is not of type 'object'", None),
        ("textDocument/didOpen", {"textDocument": {**DOCUMENT, "text": None}}, "None is not", "Look at 'textDocument.text'."),
        ("textDocument/hover", {"textDocument": {"uri": "a"}, "position": {"line": -1, "character": 0}}, "-1 is less", "Look at 'position.line'."),
        ("textDocument/hover", {"textDocument": {"uri": "a"}, "position": {"line": 2**40, "character": 0}}, "is greater", "Look at 'position.line'."),
        ("$/setTrace", {"value": "loud"}, "'loud' is not one of ['off', 'messages', 'verbose']", "Look at 'value'."),
        ("$/cancelRequest", {"id": True}, "True is not of type 'integer', 'string'", "Look at 'id'."),
        ("shutdown", 7, "7 is not of type 'object', 'array'", None),
    ],
)  # fmt: skip
def test_a_misfit_is_told_with_its_place(method: str, params: Any, words: str, hint: str | None) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        structured_params(method, params)
    assert words in caught.value.message
    assert caught.value.hint == hint


def test_of_capabilities_only_what_is_understood_is_taken() -> None:
    capabilities = {
        "window": {"workDoneProgress": True},
        "workspace": {"workspaceEdit": {"failureHandling": "of LSP 4"}},
    }
    params = structured_params("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
    window = types.WindowClientCapabilities(work_done_progress=True)
    assert params.capabilities == types.ClientCapabilities(window=window)


def test_strictly_nothing_may_be_added_left_out_or_null() -> None:
    assert strictly(types.Position, {"line": 1, "character": 0})
    assert not strictly(types.Position, {"line": 1})
    assert not strictly(types.Position, {"line": 1, "character": 0, "more": 1})
    assert not strictly(types.Position, {"line": 1.5, "character": 0})
    assert strictly(types.WorkDoneProgressBegin, {"kind": "begin", "title": "t"})
    assert not strictly(types.WorkDoneProgressBegin, {"kind": "end", "title": "t"})
    assert not strictly(types.WorkDoneProgressBegin, {"title": "t"})
    assert not strictly(types.WorkDoneProgressBegin, {"kind": "begin", "title": "t", "message": None})
    assert strictly(types.ShowMessageParams, {"type": 2, "message": "m"})
    assert not strictly(types.ShowMessageParams, {"type": 77, "message": "m"})


def test_null_is_left_where_lsp_has_it() -> None:
    params: dict[str, Any] = {"processId": None, "rootUri": None, "capabilities": {}}
    assert strictly(types.InitializeParams, params)
    assert not strictly(types.InitializeParams, {**params, "locale": None})
