"""The small Chinese clinical encoder that the package carries, so that no hub is needed.

It is an ordinary checkpoint folder: transformers' ``AutoModel``, ``AutoModelForMaskedLM`` and
``AutoTokenizer`` load `folder` without network.
"""

from __future__ import annotations

from pathlib import Path

from emrobust.errors import ModelError, did_you_mean

PUBLISHER = "emrobust/"
NAME = "emrobust/zh-small"
_ROOM = Path(__file__).parent


def folder(name: str = NAME) -> Path:
    """The folder of an encoder that lies in the package.

    Raises:
        ModelError: there is none of this name, or its files are missing from the installation.
    """
    if name != NAME:
        raise ModelError(f"the package has no encoder {name!r}", did_you_mean(name, [NAME]))
    found = _ROOM / name.removeprefix(PUBLISHER)
    if not (found / "config.json").is_file():
        raise ModelError(
            f"the package was installed without its encoder {name}",
            "Install emrobust again from its wheel, or set `checkpoint` to a folder or hub name.",
        )
    return found
