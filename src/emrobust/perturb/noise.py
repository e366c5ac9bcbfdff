"""Keys, templates and marks that noise is made of: ``tables/noise.toml``."""

from __future__ import annotations

import functools
import re
import tomllib

from pydantic import BaseModel, ConfigDict, ValidationError

from emrobust.errors import ConfigError
from emrobust.lexicon.table import Use
from emrobust.perturb.tokens import TABLES

_HAN = re.compile(r"[一-鿿]")


def is_chinese(text: str) -> bool:
    """Whether what is put in may be Chinese: words and marks of full width."""
    return _HAN.search(text) is not None


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Template(_Section):
    """Residue of templates, by where it stands in a clause or a text."""

    before: tuple[str, ...]
    headings: tuple[str, ...]
    after: tuple[str, ...]
    closing: tuple[str, ...]
    english_edge: tuple[str, ...]
    english_before: tuple[str, ...]
    english_closing: tuple[str, ...]


class Punctuation(_Section):
    """Marks of full and half width in the same order, and what is written for a mark."""

    full: str
    half: str
    others: dict[str, str]


class Placeholder(_Section):
    """What tells a name, a hospital or a bed by what surrounds it."""

    before: tuple[str, ...]
    titles: tuple[str, ...]
    surnames: str
    hospitals: tuple[str, ...]
    places: tuple[str, ...]


class Noise(_Section):
    """The whole table."""

    keys: dict[str, str]
    template: Template
    held_out: Template
    punctuation: Punctuation
    placeholder: Placeholder

    def residue(self, use: Use) -> Template:
        """The residue for training, that which is kept for robustness suites, or both."""
        if use != "all":
            return self.held_out if use == "test" else self.template
        both = (self.template.model_dump(), self.held_out.model_dump())
        return Template(**{key: both[0][key] + both[1][key] for key in both[0]})


@functools.lru_cache(maxsize=1)
def load() -> Noise:
    """The shipped table.

    Raises:
        ConfigError: it is missing or wrong.
    """
    path = TABLES / "noise.toml"
    try:
        return Noise.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(f"the table {path} cannot be used: {error}") from None
