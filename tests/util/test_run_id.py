from __future__ import annotations

import re
import time

from analystd.util.run_id import generate_run_id


def test_a_run_id_carries_the_second_and_eight_hexadecimal_digits() -> None:
    match = re.fullmatch(r"run_(\d+)_[0-9a-f]{8}", generate_run_id())
    assert match is not None
    assert abs(int(match[1]) - time.time()) < 5


def test_run_ids_differ() -> None:
    assert len({generate_run_id() for _ in range(1000)}) == 1000
