"""Split: by patient, text, time or site, stratified over many labels; leakage reported."""

from emrobust.split.plans import Settings, by_groups
from emrobust.split.stage import split

__all__ = ["Settings", "by_groups", "split"]
