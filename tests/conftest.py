"""Fixtures that more than one room uses."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "s3cret-Pass"  # of a database that lives for one test session on loopback


def _postgres_bin() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    return Path(found).parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server, empty, on a free port of loopback."""
    found = _postgres_bin()
    if found is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # PostgreSQL refuses to run as root.
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="emrobust-pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, "nobody", "nogroup")
    data, secret, port = folder / "data", folder / "secret", _free_port()
    secret.write_text(PASSWORD)
    secret.chmod(0o644)

    def run(name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(found / name), "-D", str(data), *arguments],
            **user,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=(folder / f"{name}.log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            pytest.fail(f"{name} failed: {(folder / f'{name}.log').read_text()[-2000:]}")

    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c max_connections=20"
    try:
        run("initdb", "-U", "hospital", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8",
            "--locale=C", "--no-sync")  # fmt: skip
        run("pg_ctl", "-w", "-t", "60", "-l", str(folder / "server.log"), "-o", options, "start")
        yield f"postgresql://hospital:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
