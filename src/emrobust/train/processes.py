"""Several processes that train one network: who takes which batches, and what they exchange.

Start them with ``torchrun`` or ``accelerate launch``, on one machine or on many; without those
there is one process, and nothing is exchanged.

Gradients are exchanged once a step, after all batches and all passes of an adversary. PyTorch's
own wrapper (DistributedDataParallel) exchanges them within the backward pass, and of those an
adversary makes several, one through the embedding table alone: `no_sync` would have to stand
around every one of them, and then nothing is left that exchanges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from accelerate import PartialState
from torch import distributed

from emrobust import progress
from emrobust.errors import RunError


class Processes:
    """This process among those that were started together.

    Attributes:
        count: how many there are.
        index: this one's number, from 0.
        device: this one's processor or GPU.
    """

    def __init__(self) -> None:
        # On a GPU machine the launcher gives each process its own; elsewhere they share the CPU.
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.count = int(self._state.num_processes)
        self.index = int(self._state.process_index)
        self.device = cast("torch.device", self._state.device)

    @property
    def leads(self) -> bool:
        """Whether this one writes files and measures."""
        return self.index == 0

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """The leading process goes first, so that the others find what it has made."""
        with self._state.main_process_first():
            yield

    def wait(self) -> None:
        """Until all are here."""
        self._state.wait_for_everyone()

    def share(self, start: int, end: int) -> list[int]:
        """This process's places of a step's batches ``start`` to ``end``.

        Where there are fewer batches than processes, those without one repeat the last, so that
        all do the same number of things; `add` leaves them out (``idle``).
        """
        return list(range(start + self.index, end, self.count)) or [end - 1]

    def idle(self, start: int, end: int) -> bool:
        """Whether there is no batch for this process."""
        return start + self.index >= end

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes; all give the same shapes."""
        if self.count == 1:
            return
        sent = [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]
        for work in sent:
            work.wait()

    def ask(self, compute: Callable[[], float]) -> float:
        """What the leading process computes, for all: on GPUs not all would get the same bits."""
        if self.count == 1:
            return compute()
        value = torch.zeros((), dtype=torch.float64, device=self.device)
        if self.leads:
            value.fill_(compute())
        distributed.broadcast(value, 0)
        return float(value)

    def agree(self, step: int) -> None:
        """Make sure that all begin at the same step.

        Raises:
            RunError: they don't: some have not found the checkpoint.
        """
        if self.ask(lambda: step) != step:
            raise RunError(
                f"process {self.index} of {self.count} would go on at step {step}, and others at"
                " another one",
                "Give all machines the same --out, on a disk that they share.",
            )

    @contextlib.contextmanager
    def track(self, what: str, total: int, unit: str) -> Iterator[progress.Advance]:
        """`progress.track`, in the leading process."""
        if not self.leads:
            yield lambda _: None
            return
        with progress.track(what, total, unit) as advance:
            yield advance
