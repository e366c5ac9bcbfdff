"""What a training takes: time, processor time, memory, and by estimate energy.

Energy is not measured: no counter is readable on every machine. It is processor time times a
usual power of a busy core, or the accelerator's time times its rated power, times what a room
adds; the card that shows it says so.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch

# Watts of a busy core where the processor is not known, and the overhead of a computing room
# (PUE): Lannelongue et al. 2021, "Green Algorithms" (Advanced Science 8:2100707).
CORE_WATTS = 12.0
OVERHEAD = 1.67
# A common rated power of an accelerator; some have half of it or twice as much.
ACCELERATOR_WATTS = 300.0
_JOULES_PER_WATT_HOUR = 3600.0


class Meter:
    """Counts from when it is made.

    Args:
        resumed: whether a killed training goes on, of which the first part is not counted.
    """

    def __init__(self, *, resumed: bool = False) -> None:
        self._resumed = resumed
        self._wall, self._processor = time.monotonic(), _processor_seconds()

    def read(self) -> dict[str, Any]:
        """Plain values: seconds, cpu_seconds, memory_mb (peak), processors, accelerator, resumed.

        ``watt_hours`` is an estimate, see the module.
        """
        seconds = time.monotonic() - self._wall
        spent = {
            "seconds": round(seconds, 2),
            "cpu_seconds": round(_processor_seconds() - self._processor, 2),
            "memory_mb": round(_peak_megabytes()),
            "processors": os.cpu_count() or 1,
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "resumed": self._resumed,
        }
        return {**spent, "watt_hours": round(watt_hours(spent), 4)}


def watt_hours(spent: Mapping[str, Any]) -> float:
    """The estimated energy of what a meter read."""
    joules = float(spent["cpu_seconds"]) * CORE_WATTS
    if spent["accelerator"]:
        joules += float(spent["seconds"]) * ACCELERATOR_WATTS
    return joules * OVERHEAD / _JOULES_PER_WATT_HOUR


def _processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


def _peak_megabytes() -> float:
    """Of this process; Linux counts in kilobytes, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
