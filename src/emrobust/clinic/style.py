"""How the three sites write: ``sites.toml`` and ``rates.toml`` as checked settings."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emrobust.clinic.tables import FOLDER, Medicine
from emrobust.errors import ConfigError, did_you_mean


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Rates(_Section):
    """The knobs of the clinic, tuned once and written down in ``rates.toml``."""

    sharpness: float = Field(1.0, gt=0, description="power on the odds of P(finding | class)")
    recording: float = Field(1.0, gt=0, le=1, description="share of findings written down")
    leak: float = Field(1.0, ge=0, description="times the findings that no class explains")
    comorbidity: float = Field(1.0, ge=0, description="times the comorbidity table")
    deny_own: float = Field(1.0, ge=0, description="times P(denied) in the primary's system")
    deny_other: float = Field(0.1, ge=0, description="times P(denied) in other systems")
    own_link: float = Field(0.3, ge=0, le=1, description="P(finding) that makes a system own")
    wrong_code: float = Field(0.03, ge=0, lt=1, description="share of wrong codes")
    persistence: float = Field(0.35, ge=0, le=1, description="visits that share the reason")
    typos: float = Field(1.0, ge=0, description="times the sites' typing errors")
    identity: float = Field(1.0, ge=0, description="times the planted personal data")


class Site(_Section):
    """One site: who comes, what is recorded, and in which style.

    ``present`` and ``past`` hold templates; a template is a list of clauses, and a clause
    with ``{slots}`` is left out when one of its slots is empty.
    """

    name: str
    code: str
    hospital: str
    share: float = Field(gt=0, description="of the patients")
    recording: float = Field(gt=0, le=1)
    registers: tuple[float, float, float] = Field(
        description="formal, colloquial, abbreviated wordings in 2019"
    )
    drift: float = Field(description="abbreviated wordings gained a year")
    typos: float = Field(ge=0, lt=1, description="per finding or template word")
    denials: tuple[str, ...] = Field(min_length=1, description="words before denied findings")
    unseen: tuple[str, ...] = Field(min_length=1, description="words before absent signs")
    listed: float = Field(ge=0, le=1, description="denied findings listed after one word")
    marked: float = Field(ge=0, le=1, description="findings marked with (+) and (-)")
    comma: str = "，"
    stop: str = "。"
    chief: tuple[tuple[str, ...], ...] = Field(min_length=1)
    present: tuple[tuple[str, ...], ...] = Field(min_length=1)
    past: tuple[tuple[str, ...], ...] = Field(min_length=1)
    long_codes: float = Field(1.0, gt=0, description="times the codes with a Chinese extension")
    content: dict[str, float] = Field({}, description="the site's own rates of optional slots")
    departments: dict[str, float] = {}
    classes: dict[str, float] = {}

    def multipliers(self, medicine: Medicine) -> np.ndarray:
        """[K] how much commoner each class is here."""
        return np.array(
            [
                self.departments.get(department, 1.0) * self.classes.get(name, 1.0)
                for name, department in zip(medicine.classes, medicine.departments, strict=True)
            ]
        )


class Style(_Section):
    """All sites, with what they have in common."""

    rates: Rates
    drift: dict[str, float] = Field({}, description="class → yearly growth of its prevalence")
    content: dict[str, float] = Field(description="how often an optional slot is filled")
    planted: tuple[str, ...] = Field(description="slots that hold personal data")
    sites: tuple[Site, ...] = Field(min_length=1)

    def check_names(self, medicine: Medicine) -> None:
        """Refuse a class or department that the medical tables don't have.

        Raises:
            ConfigError: names it.
        """
        classes, departments = set(medicine.classes), set(medicine.departments)
        named = [(name, classes) for name in self.drift]
        for site in self.sites:
            named += [(name, classes) for name in site.classes]
            named += [(name, departments) for name in site.departments]
        for name, known in named:
            if name not in known:
                raise ConfigError(
                    f"sites.toml names {name!r}, which diagnoses.csv does not have",
                    did_you_mean(name, known),
                )

    def drift_of(self, medicine: Medicine) -> np.ndarray:
        """[K] yearly log growth."""
        return np.array([self.drift.get(name, 0.0) for name in medicine.classes])


S = TypeVar("S", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML table of the clinic.

    Raises:
        ConfigError: it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"the clinic's table {path} is missing") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def validate(model: type[S], values: dict[str, Any], where: str) -> S:
    """Plain values as checked settings.

    Raises:
        ConfigError: names every wrong key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
        ]
        raise ConfigError("\n  - ".join([f"{where} is wrong:", *problems])) from None


@functools.lru_cache(maxsize=1)
def load_style() -> Style:
    """The shipped style, from ``sites.toml`` and ``rates.toml``."""
    values = {**read_toml(FOLDER / "sites.toml"), "rates": read_toml(FOLDER / "rates.toml")}
    return validate(Style, values, "sites.toml")
