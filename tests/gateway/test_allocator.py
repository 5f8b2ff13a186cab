"""What a long prompt has taken of memory serves the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from holdfast.gateway.process.allocator import keep_freed_memory

PROMPTS = """
import resource, sys
from holdfast.gateway.process.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory({})
def prompt():
    return bytes(bytearray(b"x" * 1_000_000) + b"y")
for _ in range(3):
    prompt()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    prompt()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of glibc")
def test_the_memory_of_long_prompts_is_kept_for_the_next() -> None:
    faults = {
        way: int(subprocess.check_output([sys.executable, "-c", PROMPTS, way])) for way in ("kept", "default")
    }
    assert faults["kept"] < faults["default"] / 10, faults


def test_what_the_user_set_for_the_allocator_stays() -> None:
    values = {"MALLOC_TRIM_THRESHOLD_": "1", "MALLOC_TOP_PAD_": "1", "MALLOC_MMAP_THRESHOLD_": "1"}
    assert keep_freed_memory(values) is (sys.platform == "linux")
