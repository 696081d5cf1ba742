from __future__ import annotations

from typing import Any

from analystd.relay.replay import REPLAY_ID, WindowReplay
from analystd.wire.jsonrpc import Message

ABOUT = {"capabilities": {"experimental": {"analystd": {"seq": 3}}}}


def opened(options: Any = None) -> WindowReplay:
    """A window whose `initialize` was answered."""
    window = WindowReplay()
    window.note_sent(request("initialize", 1, rootUri="file:///p", initializationOptions=options))
    window.note_received({"jsonrpc": "2.0", "id": 1, "result": ABOUT})
    window.note_sent(notification("initialized"))
    return window


def request(method: str, number: Any, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def notification(method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def document(method: str, uri: str, **params: Any) -> Message:
    return notification(f"textDocument/{method}", textDocument={"uri": uri}, **params)


def rest(window: WindowReplay) -> list[Message]:
    return window.replayed_rest()[1:]


def options_of(window: WindowReplay) -> Any:
    replayed = window.replayed_initialize()
    assert replayed is not None
    assert replayed["id"] == REPLAY_ID
    return replayed["params"]["initializationOptions"]


def test_nothing_is_replayed_before_initialize_or_after_it_failed() -> None:
    window = WindowReplay()
    assert window.replayed_initialize() is None
    window.note_sent(request("initialize", 1))
    window.note_received({"jsonrpc": "2.0", "id": 1, "error": {"code": 4001, "message": "no"}})
    assert window.replayed_initialize() is None
    window.note_sent(request("initialize", 2))
    assert window.replayed_initialize() == request("initialize", 2)


def test_a_whole_text_takes_the_place_of_the_changes_before_it_and_parts_are_kept_in_order() -> None:
    window = opened()
    span = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
    open_a, open_b = document("didOpen", "a"), document("didOpen", "b")
    part = document("didChange", "a", contentChanges=[{"range": span, "text": "x"}])
    whole = document("didChange", "a", contentChanges=[{"range": span, "text": "y"}, {"text": "z"}])
    for message in (open_a, open_b, part, whole, part, part, document("didSave", "a"), document("didClose", "b")):
        window.note_sent(message)
    assert rest(window) == [open_a, whole, part, part]
    window.note_sent(open_a)
    assert rest(window) == [open_a]


def test_a_change_of_a_document_that_is_not_open_and_one_that_makes_no_sense_are_passed_over() -> None:
    window = opened()
    window.note_sent(document("didChange", "never", contentChanges=[{"text": "z"}]))
    window.note_sent(notification("textDocument/didChange", textDocument=7))
    window.note_sent({"jsonrpc": "2.0", "method": "textDocument/didOpen"})
    window.note_sent(document("didOpen", "a"))
    window.note_sent(document("didChange", "a", contentChanges=7))
    assert rest(window) == [document("didOpen", "a")]


def test_folders_are_replayed_as_they_changed_and_configuration_as_it_is() -> None:
    window = opened()
    folders = [notification("workspace/didChangeWorkspaceFolders", event=number) for number in (1, 2)]
    for message in (*folders, *(notification("workspace/didChangeConfiguration", settings=n) for n in (1, 2))):
        window.note_sent(message)
    assert rest(window) == [notification("workspace/didChangeConfiguration", settings=2), *folders]


def test_the_replayed_initialize_asks_for_the_events_that_were_missed() -> None:
    window = opened({"settings": {"AGENT_SEED": "1"}})
    assert options_of(window) == {"settings": {"AGENT_SEED": "1"}, "events_after": 3}
    window.note_received(notification("analystd/event", seq=9))
    assert options_of(window)["events_after"] == 9
    window.note_received(notification("analystd/snapshot", seq=20))
    assert options_of(window)["events_after"] == 20


def test_the_subscription_in_force_is_replayed_and_one_that_was_refused_is_not() -> None:
    window = opened()
    for number, answer in (
        (5, {"result": {"events": "mine", "seq": 3}}),
        (6, {"error": {"code": -32602, "message": ""}}),
    ):
        window.note_sent(request("workspace/executeCommand", number, command="analystd.subscribe"))
        window.note_received({"jsonrpc": "2.0", "id": number, **answer})
    assert options_of(window)["events"] == "mine"


def test_options_that_are_no_object_stay_what_they_are() -> None:
    assert options_of(opened([1, 2])) == [1, 2]


def test_a_request_is_lost_as_often_as_it_was_asked() -> None:
    window = opened()
    for number in ("a", "a", 7):
        window.note_sent(request("x", number))
    assert sorted(map(str, window.lost())) == ["7", "a", "a"]
    assert not window.waits
    assert not window.note_received({"jsonrpc": "2.0", "id": "a", "result": 1})


def test_initialize_under_way_can_be_kept_from_being_lost() -> None:
    window = WindowReplay()
    window.note_sent(request("initialize", 1))
    window.note_sent(request("x", 2))
    assert window.is_opening
    assert window.lost(opening_too=False) == [2]
    assert window.lost(opening_too=False) == []
    assert window.lost() == [1]
    assert not window.waits


def test_odd_messages_are_taken_in_without_complaint() -> None:
    window = opened()
    odd: list[Message] = [
        {},
        {"id": [1], "method": "x"},
        {"id": None, "method": "x"},
        {"id": True, "method": "x"},
        {"method": "$/progress", "params": {"token": [], "value": 1}},
        {"method": "$/progress", "params": {"token": "t", "value": 1}},
        {"method": "analystd/event", "params": [1]},
    ]
    for message in odd:
        assert window.note_sent(message)
        assert window.note_received(message)
    assert not window.waits
    assert list(window.orphaned()) == []
