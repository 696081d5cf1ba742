from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from analystd.util.logging_setup import log_to_file
from analystd.util.run_id import current_run_id


@contextlib.contextmanager
def logged_to(folder: Path) -> Iterator[Path]:
    before = logging.getLogger().handlers[:]
    try:
        yield log_to_file(folder).path
    finally:
        ours = logging.getLogger().handlers[:]
        logging.basicConfig(handlers=before, force=True)
        for handler in ours:
            handler.close()
        logging.raiseExceptions = True


def test_every_log_line_carries_the_run_it_belongs_to(tmp_path: Path) -> None:
    with logged_to(tmp_path / "logs") as path:
        token = current_run_id.set("run_1702473600_a1b2c3d4")
        logging.getLogger("analystd.test").info("inside")
        current_run_id.reset(token)
    assert "run_1702473600_a1b2c3d4 analystd.test: inside" in path.read_text()


def test_a_record_is_one_line_and_its_traceback_is_marked(tmp_path: Path) -> None:
    forged = "x\n2026-11-30 08:00:00,000 INFO run_1_00000000 analystd: forged\x1b]0;t\x07\x1b[2J\r\x85\u2028"
    with logged_to(tmp_path / "logs") as path:
        log = logging.getLogger("analystd.test")
        log.warning("said: %s", forged)
        try:
            raise ValueError(forged)
        except ValueError:
            log.exception("failed", stack_info=True)
    first, second, *rest = path.read_text().splitlines()
    assert first.endswith(r"\x1b[2J\r\x85\u2028")
    assert second.endswith("analystd.test: failed")
    assert len(rest) > 4
    assert all(line.startswith("  | ") for line in rest)
    assert "\x1b" not in path.read_text()
