"""Every benchmark runs quickly when asked to, and prints the one JSON object that is promised."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = sorted((ROOT / "bench").glob("*.py"))
# Minutes where CI has few: one installs its peer from a registry, one times eleven adversaries.
LONG = {"adversary", "augment"}


@pytest.mark.slow
@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_quick_benchmark_prints_its_figures_last(path, tmp_path):
    if path.stem in LONG and not os.environ.get("EMROBUST_LONG"):
        pytest.skip("takes minutes: set EMROBUST_LONG=1")
    done = subprocess.run(
        [sys.executable, path, "--quick"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"name", "ours", "peer", "ratio", "unit"} <= figures.keys()
    assert figures["ratio"] > 0


def test_the_document_names_benchmarks_and_project_files_that_exist():
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    named = set(re.findall(r"bench/(\w+)\.py", text))
    assert named == {path.stem for path in BENCHMARKS}
    for dataset, model in re.findall(r"bench/quality\.py (\w+) (\w+)", text):
        assert (ROOT / "configs" / f"{dataset}.toml").is_file() or dataset == "clinic"
        assert (ROOT / "src" / "emrobust" / "models" / f"{model}.py").is_file()
