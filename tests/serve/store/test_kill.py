"""``kill -9`` under load, with real processes; `bench/store.py --kills 20` is the longer run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench" / "store.py"


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kills(url):
    done = subprocess.run(
        [sys.executable, BENCH, "--kills", "3", "--url", url], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["acknowledged"] > 0
    assert figures["lost"] == figures["removed"] == figures["jobs_behind"] == 0
    assert figures["jobs_done"] == figures["jobs"] > 0
    assert figures["audit_rows"] >= figures["acknowledged"]
