"""What the registry tells of components without a list of them."""

import pytest

from emrobust import registry
from emrobust.errors import ConfigError

COMPONENTS = [(kind, name) for kind in registry.ROOMS for name in registry.names(kind)]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_setting_of_every_component_is_described(kind, name):
    for setting in registry.describe(kind, name):
        assert setting.about, setting.name
        assert setting.required or setting.default != "null"


def test_a_setting_is_told_as_a_project_file_writes_it():
    of_model = {setting.name: setting for setting in registry.describe("model", "transformer")}
    assert of_model["pooling"].default == '"cls+mean"'
    assert of_model["pooling"].choices == ("cls", "mean", "cls+mean")
    assert of_model["label_attention"].default == "true"
    assert of_model["checkpoint"].about.endswith(
        "a hub name such as ``hfl/chinese-roberta-wwm-ext``."
    )
    (label,) = registry.describe("goal", "targeted")
    assert label.required
    assert label.default is None


def test_an_unknown_component_is_an_error_that_suggests_one():
    with pytest.raises(ConfigError, match="Did you mean `textcnn`"):
        registry.describe("model", "textcn")
