"""Fixtures of the tests from outside. One PostgreSQL for the session, a fresh data folder each."""
import os
import pathlib
import shutil
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "e2e"))
import harness  # noqa: E402
from docker_engine import Engine  # noqa: E402


def stop_in_order(*_):
    raise KeyboardInterrupt


# Ended by a signal, the tests still clear up behind them.
signal.signal(signal.SIGTERM, stop_in_order)


@pytest.fixture(scope="session")
def postgres():
    folder = harness.temporary_folder("pg")
    server = harness.Postgres(folder / "pg")
    try:
        server.start()
        server.make_database("tiny_dev", harness.TEMPLATE_SQL)
        yield server
    finally:
        server.stop(remove=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def engine():
    if os.geteuid() != 0:
        pytest.skip("an engine of our own needs root")
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def repo(site):
    return harness.TinyRepo(site.folder / "tiny")


@pytest.fixture
def site(postgres):
    if not harness.BIN.exists():
        pytest.fail(f"{harness.BIN} is not built")
    site = harness.Site(harness.temporary_folder("site"), postgres)
    yield site
    site.close()
