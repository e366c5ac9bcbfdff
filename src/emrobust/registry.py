"""Short name → component. A component is one file and one decorator, no list elsewhere.

The file's name is the component's name, so that names can be listed without importing
anything heavy; its settings are its constructor's keyword arguments.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import ConfigDict, ValidationError, create_model

from emrobust.errors import ConfigError, did_you_mean

# kind → the room whose files are its components
ROOMS = {
    "model": "emrobust.models",
    "detector": "emrobust.deid",
    "operator": "emrobust.deid.operators",
    "normalizer": "emrobust.normalize",
    "perturbation": "emrobust.perturb",
    "adversary": "emrobust.train.adversaries",
    "loss": "emrobust.train.losses",
    "explainer": "emrobust.explain",
    "goal": "emrobust.attack.goals",
    "constraint": "emrobust.attack.constraints",
    "transformation": "emrobust.attack.transformations",
    "search": "emrobust.attack.searches",
    "calibrator": "emrobust.evaluate.calibration",
}

_components: dict[tuple[str, str], type] = {}
T = TypeVar("T", bound=type)


class Setting(NamedTuple):
    """A setting of a component, for whoever writes a project file.

    Attributes:
        name: its key.
        default: as a project file writes it; absent: there is none.
        required: whether a project file must name it.
        choices: the only values, where they are few.
        about: its line in the docstring.
    """

    name: str
    default: str | None
    required: bool
    choices: tuple[str, ...]
    about: str


def register(kind: str) -> Callable[[T], T]:
    """Class decorator: make this the component of its file in the room of ``kind``."""

    def keep(component: T) -> T:
        _components[kind, component.__module__.rpartition(".")[2]] = component
        return component

    return keep


def kind(word: str) -> str:
    """The kind that a user means by ``models`` or ``model``.

    Raises:
        ConfigError: no such kind; suggests the nearest.
    """
    plurals = {_plural(kind): kind for kind in ROOMS}
    if word not in ROOMS and word not in plurals:
        raise ConfigError(
            f"there is no kind of component called {word!r}.", did_you_mean(word, plurals)
        )
    return plurals.get(word, word)


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith(("s", "ch")) else f"{kind}s"


def names(kind: str) -> dict[str, str]:
    """Names of all components of a kind → the first line of their file's docstring.

    Files are parsed, not imported: this costs milliseconds, not torch.
    """
    return {
        name: (ast.get_docstring(tree) or "").partition("\n")[0]
        for name, tree in _files(kind).items()
    }


def sources(kind: str) -> dict[str, str]:
    """Names of all components of a kind → where each comes from, "" where it doesn't say.

    It says so by a class attribute ``source``, a plain string.
    """
    return {name: _source(tree) for name, tree in _files(kind).items()}


@cache
def _files(kind: str) -> dict[str, ast.Module]:
    """The parsed files of a kind's components, by name; parsed once."""
    found = {}
    for file in resources.files(ROOMS[kind]).iterdir():
        if file.name.endswith(".py") and not file.name.startswith("_"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            if any(_is_register(node, kind) for node in ast.walk(tree)):
                found[file.name[:-3]] = tree
    return dict(sorted(found.items()))


def _source(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "source" for target in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value
    return ""


def _is_register(node: ast.AST, kind: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "register"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == kind
    )


def get(kind: str, name: str) -> type:
    """The component itself.

    Raises:
        ConfigError: no such component; suggests the nearest.
    """
    known = names(kind)
    if name not in known:
        raise ConfigError(f"there is no {kind} called {name!r}.", did_you_mean(name, known))
    importlib.import_module(f"{ROOMS[kind]}.{name}")
    return _components[kind, name]


def settings(kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings checked (and converted) by the component's signature.

    Raises:
        ConfigError: an unknown or wrong setting; all problems at once.
    """
    component = get(kind, name)
    fields: dict[str, Any] = {
        key: (
            parameter.annotation if not isinstance(parameter.annotation, str) else Any,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for key, parameter in _resolved(component, _keyword_only(component)).items()
    }
    problems = [
        f"`{kind}.{key}` is not a setting of {name}. {did_you_mean(key, fields)}"
        for key in values
        if key not in fields
    ]
    model = create_model(name, __config__=ConfigDict(hide_input_in_errors=True), **fields)
    try:
        checked = model.model_validate({k: v for k, v in values.items() if k in fields})
    except ValidationError as error:
        problems += [
            f"`{kind}.{'.'.join(map(str, e['loc']))}`: {e['msg']}."
            for e in error.errors(include_input=False)
        ]
    if problems:
        raise ConfigError("\n".join(["the settings are wrong:", *(f"  - {p}" for p in problems)]))
    return {key: getattr(checked, key) for key in fields}


def describe(kind: str, name: str) -> list[Setting]:
    """A component's settings, in the order of its signature.

    Raises:
        ConfigError: no such component; suggests the nearest.
    """
    component = get(kind, name)
    about = _arguments(inspect.getdoc(component) or "")
    return [
        Setting(
            key,
            None if given.default in (None, given.empty) else json.dumps(given.default),
            given.default is given.empty,
            get_args(given.annotation) if get_origin(given.annotation) is Literal else (),
            about.get(key, ""),
        )
        for key, given in _resolved(component, _keyword_only(component)).items()
    ]


def _arguments(docstring: str) -> dict[str, str]:
    """Argument → what the docstring's ``Args:`` says of it, on one line."""
    found: dict[str, str] = {}
    key = ""
    for line in docstring.partition("Args:\n")[2].splitlines():
        if line and not line.startswith(" "):
            break
        begun = re.match(r" {4}(\w+): (.+)", line)
        if begun:
            key = begun[1]
        found[key] = f"{found.get(key, '')} {begun[2] if begun else line.strip()}".strip()
    return found


def _keyword_only(component: type) -> dict[str, inspect.Parameter]:
    return {
        parameter.name: parameter
        for parameter in inspect.signature(component).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _resolved(
    component: type, parameters: Mapping[str, inspect.Parameter]
) -> dict[str, inspect.Parameter]:
    """Parameters with their annotations evaluated (files use postponed annotations)."""
    hints = inspect.get_annotations(inspect.unwrap(component.__init__), eval_str=True)  # type: ignore[misc]
    return {
        key: parameter.replace(annotation=hints.get(key, Any))
        for key, parameter in parameters.items()
    }
