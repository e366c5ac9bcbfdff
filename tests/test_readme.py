"""The README is true: its commands run in a fresh copy, word by word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The working tree's files in a new folder, with the environment that is there already."""
    folder = tmp_path_factory.mktemp("clone") / "emrobust"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


# The test runner is not run by itself; its set-up and checks are what runs this test.
NOT_HERE = re.compile(r"^scripts/test\b")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_of_the_readme_runs(clone, commands):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in commands(ROOT / "README.md"):
        if NOT_HERE.match(command):
            continue
        if command.startswith("emrobust serve "):
            serve(f"{command} --port 0", clone, environment)
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=clone, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    for report in ("out/report", "out/comparison", "out/demo"):
        assert list((clone / report).rglob("report.html")), report


def serve(command: str, folder: Path, environment: dict[str, str]) -> None:
    """Start a service, see that its page answers, and end it."""
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", f"exec {command}"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as running:  # fmt: skip
        try:
            printed = iter(running.stdout)
            address = next(line.strip() for line in printed if line.startswith("http://"))
            assert httpx.get(address).status_code == 200
        finally:
            running.terminate()
        assert running.wait(60) == 0
