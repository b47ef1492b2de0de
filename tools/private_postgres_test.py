"""The private server survives what happens to it, and leaves nothing."""
import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def tool():
    loader = importlib.machinery.SourceFileLoader("private_postgres", str(HERE / "private_postgres"))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("private_postgres", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def server(tool):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stpgt", dir="/var/tmp"))
    folder.chmod(0o755)
    made = tool.Server(folder / "pg")
    yield made
    made.stop(remove=True)
    shutil.rmtree(folder)


def postmaster(server):
    return int((server.data / "postmaster.pid").read_text().split()[0])


def test_start_twice_is_one_server_and_its_role_is_no_superuser(server):
    server.start()
    first = postmaster(server)
    server.start()
    assert postmaster(server) == first
    assert server.psql("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles "
                       "WHERE rolname = 'seatrial'") == "f|t|t"


def test_a_killed_server_starts_again_with_its_data(server):
    server.start()
    server.psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7); CHECKPOINT")
    descriptor = os.pidfd_open(postmaster(server))
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    os.close(descriptor)
    server.start()
    assert server.psql("SELECT n FROM kept") == "7"


def test_a_half_made_server_is_made_anew(server):
    server.folder.mkdir()
    server.data.mkdir()
    (server.data / "PG_VERSION").write_text("rubbish")
    server.start()
    assert server.psql("SELECT 1") == "1"


def test_a_taken_port_is_left_to_its_owner(server, tool):
    import socket
    server.start()
    server.stop()
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", server.port))
        squatter.listen()
        before = server.port
        server.start()
        assert server.port != before
        assert server.psql("SELECT 1") == "1"


def test_stop_removes_everything(server):
    server.start()
    server.stop(remove=True)
    assert not server.folder.exists()
