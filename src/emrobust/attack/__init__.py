"""Attacks on texts: a goal, constraints, transformations and a search, composed.

    recipe → attack → attempt → searches
                    ↘ victim → reader
    goals, constraints and transformations are one file each

An attack looks for the smallest honest change of a record that makes a model fail. The guards of
`emrobust.perturb` keep what carries the label, and the words come from tables that training's
augmentation does not use where a table has such a part, so that robustness is no memory.
"""

from emrobust.attack.attack import Attack, run
from emrobust.attack.attempt import Outcome, Subject
from emrobust.attack.recipe import Recipe, compose, find, recipes, select
from emrobust.attack.victim import Victim

__all__ = [
    "Attack",
    "Outcome",
    "Recipe",
    "Subject",
    "Victim",
    "compose",
    "find",
    "recipes",
    "run",
    "select",
]
