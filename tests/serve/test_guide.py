"""The guide to hospital systems is true: its commands run, by curl, against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emrobust.package import layout

GUIDE = Path(__file__).parent.parent.parent / "docs" / "hospital-systems.md"
_FILES = re.compile(r"`(\w+\.json)`:\n\n```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_guide_to_hospital_systems_runs(address, tokens, tmp_path, served_package, blocks):
    text = GUIDE.read_text(encoding="utf-8")
    written = dict(_FILES.findall(text))
    assert set(written) == {"call.json", "bundle.json"}
    for name, content in written.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    saved = json.loads((served_package / layout.SOURCE).read_text(encoding="utf-8"))
    known = saved["columns_of"]["columns"]
    names = [name for name in known.values() if isinstance(name, str)] + known["text"]
    row = dict.fromkeys(names, "")
    row |= {known["record_id"]: "V1", known["patient_id"]: "P1", known["text"][0]: "咳嗽3天"}
    table = f"{','.join(row)}\n{','.join(row.values())}\n"
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(GUIDE, "bash"))],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "SERVICE": address, "KEY": tokens["clinician"], "NO_PROXY": "127.0.0.1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    def read(name):
        return json.loads((tmp_path / name).read_text(encoding="utf-8"))

    (card,) = read("card.json")["cards"]
    assert {"uuid", "summary", "indicator", "source"} <= set(card)
    assert read("assessment.json")["entry"][0]["resource"]["resourceType"] == "RiskAssessment"
    assert read("metadata.json")["fhirVersion"] == "4.0.1"
    assert "13812345678" not in read("deidentified.json")["text"]
    assert "V1" in (tmp_path / "predictions.csv").read_text(encoding="utf-8")
    assert read("feedback.json")["id"]
    tensors = read("tensors.json")
    assert [output["name"] for output in tensors["outputs"]] == ["prediction", "probability"]
