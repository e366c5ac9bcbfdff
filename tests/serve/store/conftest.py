"""A store in an SQLite file, and one in a real PostgreSQL where that is installed."""

from __future__ import annotations

import psycopg
import pytest

from emrobust.serve import store as room


@pytest.fixture
def sqlite_url(tmp_path):
    return str(tmp_path / "store.db")


@pytest.fixture
def postgres_url(postgres):
    """An empty database of its own on the session's server."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'store'").fetchone()
        if not found:
            connection.execute("CREATE DATABASE store")
    url = postgres.rsplit("/", 1)[0] + "/store"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request):
    """Both kinds of database."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def opened(url):
    with room.open_store(room.StoreSettings(url=url, patience=0.5)) as opened:
        yield opened


@pytest.fixture
def prediction():
    def make(number=0, **given):
        values = {
            "actor": "k1",
            "task": "diagnose",
            "model": "zh@1",
            "record_id": f"V{number}",
            "probabilities": {"I20": 0.75, "急性支气管炎": 1 / 3},
            "chosen": ("I20",),
        }
        return room.Prediction(**{**values, **given})

    return make
