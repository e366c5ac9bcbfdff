"""What an operator is: it gives the text that stands in place of an identifier.

One operator a file in ``deid/operators``; the file's name is its name in ``[deid.operators]``,
its keyword arguments are its settings there.
"""

from __future__ import annotations

import abc
import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from typing import ClassVar

from emrobust.deid.key import Key
from emrobust.errors import ConfigError

NAMES = frozenset({"patient_name", "relative_name", "doctor_name", "person_name"})

_BETWEEN = re.compile(r"[\s\-—–_·•.]+")
_DIGITS = str.maketrans("〇零一二三四五六七八九", "00123456789")
# Kinds whose values are numbers, so that 一三八… and 138… are one value.
_NUMBERS = frozenset(
    {
        "id_card",
        "phone",
        "bank_card",
        "social_security",
        "account",
        "passport",
        "permit",
        "exam_no",
        "plate",
        "visit_no",
        "bed_no",
    }
)


@dataclass(frozen=True)
class Subject:
    """Whose text is treated, and what an operator may know of the visit.

    Attributes:
        patient: the patient's number in the source; what is constant is so within it.
        key: the secret; None where no operator needs one.
        time: start of the visit as the source has it; gives dates without a year their year.
        shown: start of the visit as the output has it, which a bed's date range may tell.
        department: of the visit.
        language: of the note, ``zh`` or ``en``.
    """

    patient: str
    key: Key | None = None
    time: dt.datetime | None = None
    shown: dt.datetime | None = None
    department: str | None = None
    language: str = "zh"

    def secret(self) -> Key:
        """The key.

        Raises:
            ConfigError: there is none.
        """
        if self.key is None:
            raise ConfigError(
                "surrogates, date shifts and pseudonyms need a key",
                "Name a key file with [deid] key_file, or use `placeholder`.",
            )
        return self.key


class Operator(abc.ABC):
    """Gives the replacement of one identifier.

    Attributes:
        keyed: whether it needs a key.
    """

    keyed: ClassVar[bool] = False

    @abc.abstractmethod
    def replace(self, value: str, kind: str, subject: Subject) -> str | None:
        """What stands in place of ``value``, or None where this operator cannot treat it.

        Args:
            value: the identifier as it is written.
            kind: one of `emrobust.placeholders.PLACEHOLDERS`.
            subject: whose text it is.
        """


def normalise(value: str, kind: str) -> str:
    """What two writings of one value share: width, case, blanks, hyphens, Chinese numerals."""
    plain = _BETWEEN.sub("", unicodedata.normalize("NFKC", value)).casefold()
    return plain.translate(_DIGITS) if kind in _NUMBERS else plain
