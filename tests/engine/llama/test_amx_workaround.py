from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SEEN = """
import ctypes
from analystd.engine.llama.amx_workaround import _Stack, without_tiles

libc = ctypes.CDLL(None)


def is_granted():
    # ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA, as llama.cpp asks.
    return libc.syscall(158, 0x1023, 18) == 0


def stack():
    now = _Stack()
    assert libc.sigaltstack(None, ctypes.byref(now)) == 0
    return now.sp, now.flags, now.size


room = ctypes.create_string_buffer(65536)
libc.sigaltstack(ctypes.byref(_Stack(ctypes.addressof(room), 0, len(room))), None)
before = stack()
with without_tiles():
    meanwhile = is_granted()
print(meanwhile, is_granted(), stack() == before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="only Linux on x86-64 grants tiles"
)
def test_tiles_are_refused_in_the_context_and_the_stack_is_restored() -> None:
    has_tiles = "amx_tile" in Path("/proc/cpuinfo").read_text()
    seen = subprocess.run([sys.executable, "-c", SEEN], capture_output=True, text=True, check=True).stdout
    assert seen.split() == ["False", str(has_tiles), "True"]
