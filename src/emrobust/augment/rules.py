"""Rules: some of the registered perturbations on each text, under their guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple, cast

from emrobust import registry, rng
from emrobust.errors import ConfigError
from emrobust.perturb import Perturbation, perturb


class Request(NamedTuple):
    """Texts to perturb.

    Attributes:
        epoch: its number.
        records: number of each text's record in the training rows.
        texts: as they were written.
    """

    epoch: int
    records: list[int]
    texts: list[str]


class Rules:
    """Perturbs texts; a function of the seed, the epoch and the record.

    Args:
        perturbations: registered names under ``name``, each with its own settings beside it.
        at_once: how many of them a text gets, drawn anew for each record and epoch.
        seed: of the run.

    Raises:
        ConfigError: no such perturbation, or a wrong setting of it.
    """

    def __init__(self, perturbations: Sequence[Mapping[str, Any]], at_once: int, seed: int) -> None:
        self._all = [_make(given) for given in perturbations]
        self._at_once = min(at_once, len(self._all))
        self._seed = seed

    def __call__(self, request: Request) -> list[str]:
        """The perturbed texts."""
        return [
            self._perturb(text, f"{request.epoch}/{record}")
            for record, text in zip(request.records, request.texts, strict=True)
        ]

    def _perturb(self, text: str, name: str) -> str:
        random = Random(rng.derive(self._seed, "rules", name))  # noqa: S311 - no secret hangs on it
        chosen = random.sample(self._all, self._at_once)
        return perturb(text, chosen, self._seed, name).text


def names_for(language: str) -> list[str]:
    """The registered perturbations that are made for texts of this language."""
    return [
        name
        for name in registry.names("perturbation")
        if registry.get("perturbation", name).language in (language, "both")  # type: ignore[attr-defined]  # every perturbation has one
    ]


def _make(given: Mapping[str, Any]) -> Perturbation:
    own = dict(given)
    name = own.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            "an item of `augment.perturbations` has no name",
            'Give a name of `emrobust list perturbations`, or { name = "synonym", rate = 0.2 }.',
        )
    settings = registry.settings("perturbation", name, own)
    return cast("type[Perturbation]", registry.get("perturbation", name))(**settings)
