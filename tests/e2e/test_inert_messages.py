"""What the daemon has any editor show holds nothing that the editor would obey."""

from __future__ import annotations

import re

from tests.e2e.bytewise import open_wire, opened
from tests.station import Station

BAIT = "[Continue](command:workbench.action.terminal.new) ![x](https://host/leak) <img src=x>\x1b]0;t\x07\u202e"
OBEYED = re.compile("\\]\\(|<img|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


async def test_a_notice_about_a_setting_holds_no_link(station: Station) -> None:
    wire = await open_wire(station)
    try:
        options = {"initializationOptions": {"settings": {"AGENT_MAX_STEPS": BAIT}}}
        assert "result" in await wire.initialize(station, **options)
        shown = (await wire.heard("window/showMessage"))["message"]
    finally:
        await wire.close()
    assert "Continue" in shown
    assert OBEYED.search(shown) is None


async def test_progress_holds_no_link(station: Station) -> None:
    async with opened(station) as wire:
        await wire.begin("execPython", 1, token="t", code=f"print({BAIT!r})\nimport time; time.sleep(0.5)  # {BAIT}")
        assert "result" in await wire.answer(1)
        told = [
            text for value in wire.progress_so_far("t") for text in (value.get("title"), value.get("message")) if text
        ]
    assert any("Continue" in text for text in told)
    assert [text for text in told if OBEYED.search(text)] == []


async def test_an_error_holds_no_link(station: Station) -> None:
    async with opened(station) as wire:
        for name, arguments in {
            "viewData": {"path": BAIT, "operation": "head"},
            "execPython": {"code": "1", "session": BAIT},
            "cancelRun": {"run_id": BAIT},
            "readFile": {"path": BAIT},
            BAIT: {},
        }.items():
            error = (await wire.command(name, **arguments))["error"]
            assert OBEYED.search(error["message"]) is None
            assert OBEYED.search(str((error.get("data") or {}).get("hint"))) is None
