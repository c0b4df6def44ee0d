"""The machine that the package runs on."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The processor as the system names it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions that multiply bfloat16; without them torch takes some
    ten times as long as with float32."""
    return not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint((_cpuinfo("flags") or _cpuinfo("Features")).split())


def _cpuinfo(name: str) -> str:
    """A value of the first processor in /proc/cpuinfo; empty where there is none."""
    try:
        for line in CPUINFO.read_text().splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""
