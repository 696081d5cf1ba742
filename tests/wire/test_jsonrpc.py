from __future__ import annotations

import json
from typing import Any

import pytest

from analystd.util.strict_json import MAX_NESTING
from analystd.wire.jsonrpc import NotAMessageError, error_message, message_in


def nested(depth: int) -> bytes:
    return b'{"jsonrpc": "2.0", "method": "x", "params": ' + b"[" * depth + b"]" * depth + b"}"


def test_a_message_is_given_as_it_is() -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"jsonrpc": "1.0", "id": []}}
    assert message_in(json.dumps(message).encode()) == message


def test_requests_have_ids_of_text_or_integers() -> None:
    assert message_in(b'{"jsonrpc": "2.0", "id": -3.0, "method": "x"}')["id"] == -3
    assert message_in(b'{"jsonrpc": "2.0", "id": "", "method": "x"}')["id"] == ""
    for number in ("null", "1.5", "true", "[]", "{}", "1e400"):
        with pytest.raises(NotAMessageError, match="text or an integer") as caught:
            message_in(b'{"jsonrpc": "2.0", "id": %b, "method": "x"}' % number.encode())
        assert caught.value.request_id is None


def test_responses_may_have_any_id() -> None:
    assert message_in(b'{"jsonrpc": "2.0", "id": [1], "result": null}')["id"] == [1]


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "[1,]", "'x'", "", "\ufeff{}", "9" * 5000])
def test_what_python_reads_and_json_is_not_is_refused(text: str) -> None:
    with pytest.raises(NotAMessageError, match="not JSON") as caught:
        message_in(text.encode())
    assert caught.value.code == -32700


@pytest.mark.parametrize("body", [b'"\xff"', b'"\xed\xa0\x80"', '{"a": 1}'.encode("utf-16")])
def test_what_is_no_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(NotAMessageError, match="not UTF-8") as caught:
        message_in(body)
    assert caught.value.code == -32700


def test_nesting_has_a_limit() -> None:
    message_in(nested(MAX_NESTING - 1))
    for depth in (MAX_NESTING, 1_000, 100_000):
        with pytest.raises(NotAMessageError):
            message_in(nested(depth))


def test_many_objects_that_are_not_nested_are_no_nesting() -> None:
    flat: list[Any] = [{"a": [1]}] * 10_000
    assert message_in(json.dumps({"jsonrpc": "2.0", "method": "x", "params": flat}).encode())["params"] == flat


def test_an_error_is_of_bounded_length() -> None:
    message = error_message(1, -32600, "a" * 10_000 + "z")
    assert len(message["error"]["message"]) < 1100
    assert message["error"]["message"].endswith("z")
