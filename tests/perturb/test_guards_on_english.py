"""No perturbation changes what made-up English notes deny, count, or say of a side."""

import random
import re

import pytest

from emrobust import registry
from emrobust.perturb import perturb

# Of each sentence it is known what must stay; the judge counts these words by itself.
SENTENCES = [
    "Patient reports severe headache and shortness of breath for {n} days.",
    "She does not have fever, chills or vomiting.",
    "Denies chest pain, but has cough with sputum.",
    "No abdominal pain, no diarrhea.",
    "Left knee pain, worse at night; right knee is normal.",
    "Swelling of the LLE. OD red, OS clear.",
    "BP {n}/80, temperature 38.{n}, heart rate 9{n} bpm.",
    "Took ibuprofen {n} mg twice daily without relief.",
    "Possible pneumonia, rule out tuberculosis.",
    "Mother had stroke, history of high blood pressure for {n} years.",
]
NEGATIONS = re.compile(r"\b(?:no|not|denies|without)\b|n't\b|\bw/o", re.IGNORECASE)
KEPT = re.compile(
    r"\d+(?:\.\d+)?|\b(?:left|right|LLE|OD|OS|ibuprofen|possible|mother|history|h/o)\b"
    r"|\br/o|rule out",
    re.IGNORECASE,
)
EQUAL = {"history": "h/o", "rule out": "r/o"}


def kept(text: str) -> list[str]:
    return [EQUAL.get(word.lower(), word.lower()) for word in KEPT.findall(text)]


@pytest.mark.parametrize("name", registry.names("perturbation"))
def test_english_notes_keep_what_they_tell(name):
    component = registry.get("perturbation", name)()
    draw = random.Random(3)  # noqa: S311 - no secret hangs on it
    changed = 0
    for number in range(400):
        sentences = draw.sample(SENTENCES, 4)
        text = " ".join(sentence.format(n=draw.randint(2, 9)) for sentence in sentences)
        done = perturb(text, [component], 5, number)
        changed += bool(done.edits)
        # Nothing Chinese is written into English.
        assert done.text.isascii() or component.language == "zh", done.text
        new = done.text.translate({code + 0xFEE0: chr(code) for code in range(33, 127)})
        assert len(NEGATIONS.findall(new)) == len(NEGATIONS.findall(text)), (text, new)
        assert kept(new) == kept(text), (text, new)
    assert changed > 50 or component.language == "zh"
