"""Before a package answers anybody, it answers made-up texts whose answers it carries.

int8 arithmetic differs between processors and does not pay on all of them, so both are looked at
here, on the machine that will answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from emrobust.errors import RunError
from emrobust.onnx import probe

# Probabilities of fp32 here against those of the run's own model, wherever that ran.
FP32_TOLERANCE = 1e-3

Answer = Callable[[Sequence[str]], np.ndarray]


class Report(NamedTuple):
    """What the self-test found.

    Attributes:
        precision: what is used from now on: ``fp32`` or ``int8``.
        difference: largest between int8 and fp32; None where int8 was not tried.
        mean_difference: likewise.
        fp32_seconds: median of one text.
        int8_seconds: likewise.
        warning: why int8 is not used although it was there and might be quicker; else empty.
    """

    precision: str
    difference: float | None = None
    mean_difference: float | None = None
    fp32_seconds: float | None = None
    int8_seconds: float | None = None
    warning: str = ""

    def line(self) -> str:
        """The report in a sentence."""
        if self.difference is None or self.fp32_seconds is None or self.int8_seconds is None:
            return f"self-test passed: {self.precision}"
        return (
            f"self-test passed: {self.precision} (one text {self.fp32_seconds * 1e3:.1f} ms in "
            f"fp32, {self.int8_seconds * 1e3:.1f} ms in int8; largest difference of a probability "
            f"{self.difference:.3f}, mean {self.mean_difference:.4f})"
        )


def run(
    given: dict[str, Any], fp32: Answer, int8: Answer | None, *, wanted: str, largest: float
) -> Report:
    """Test one or both, and choose.

    Args:
        given: ``texts`` and ``probability`` as the package carries them.
        fp32: probabilities of texts [texts, labels].
        int8: likewise; None where there is none, or where it is not wanted.
        wanted: ``auto``: the quicker of the two where they agree; or the one to take.
        largest: difference between int8 and fp32 that is allowed.

    Raises:
        RunError: fp32 does not say here what the run's own model said.
    """
    sound, fp32_seconds = _answer_singly(fp32, given["texts"])
    expected = np.array(given["probability"])
    off = float(np.abs(sound - expected).max(initial=0.0))
    if not off <= FP32_TOLERANCE:  # NaN is no small difference
        raise RunError(
            f"the package's model answers otherwise on this machine than where it was made: its "
            f"probabilities differ by {off:.2g} on its own test texts (allowed: {FP32_TOLERANCE})",
            "Update onnxruntime, or use the run folder instead of the package.",
        )
    if int8 is None:
        return Report("fp32")
    alone, int8_seconds = _answer_singly(int8, given["texts"])
    # Activations of a batch share their scale, so an answer depends a little on its neighbours.
    differences = np.abs(np.stack([alone, int8(given["texts"])]) - sound)
    most, mean = float(differences.max(initial=0.0)), float(differences.mean())
    found = Report("fp32", most, mean, fp32_seconds, int8_seconds)
    if not (most <= largest and mean <= probe.INT8_MEAN):
        return found._replace(
            warning=f"int8 differs from fp32 by up to {most:.3f} (mean {mean:.4f}) on this "
            f"machine, beyond {largest} (mean {probe.INT8_MEAN}): fp32 is used, which is slower"
        )
    quicker = "int8" if int8_seconds < fp32_seconds else "fp32"
    return found._replace(precision=quicker if wanted == "auto" else wanted)


def _answer_singly(answer: Answer, given: Sequence[str]) -> tuple[np.ndarray, float]:
    """Probabilities of texts [texts, labels], one asked after the other; median seconds of one."""
    found, spent = [], []
    for text in given:
        start = time.perf_counter()
        found.append(answer([text]))
        spent.append(time.perf_counter() - start)
    return np.concatenate(found), float(np.median(spent))
