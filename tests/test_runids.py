from __future__ import annotations

import logging
import re
import time
from pathlib import Path

from analystd.runids import current_run_id, generate_run_id, log_to_file


def test_a_run_id_carries_the_second_and_eight_hexadecimal_digits() -> None:
    match = re.fullmatch(r"run_(\d+)_[0-9a-f]{8}", generate_run_id())
    assert match is not None
    assert abs(int(match[1]) - time.time()) < 5


def test_run_ids_differ() -> None:
    assert len({generate_run_id() for _ in range(1000)}) == 1000


def test_every_log_line_carries_the_run_it_belongs_to(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:]
    path = log_to_file(tmp_path / "logs").path
    token = current_run_id.set("run_1702473600_a1b2c3d4")
    try:
        logging.getLogger("analystd.test").info("inside")
    finally:
        current_run_id.reset(token)
        ours = logging.getLogger().handlers[:]
        logging.basicConfig(handlers=before, force=True)
        for handler in ours:
            handler.close()
        logging.raiseExceptions = True
    assert "run_1702473600_a1b2c3d4 analystd.test: inside" in path.read_text()
