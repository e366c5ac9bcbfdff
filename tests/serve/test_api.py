"""The API keeps to its own description, whatever it is asked (schemathesis)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = (
    "not_a_server_error",
    "response_schema_conformance",
    "status_code_conformance",
    "content_type_conformance",
    "ignored_auth",
    "unsupported_method",
)


class TestDescription:
    @pytest.fixture
    def options(self):
        return ["limits.rate=100000", "limits.burst=100000", "limits.failures=100000",
                "limits.deadline=60"]  # fmt: skip

    @pytest.mark.slow
    def test_no_answer_breaks_the_description(self, address, tokens, tmp_path):
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/openapi.json",
            "-H", f"Authorization: Bearer {tokens['administrator']}", "-n", "5", "--seed", "1",
            "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), "--no-color",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert " passed" in done.stdout
