"""Migrations by Alembic, the real one, around copies of the database."""
import subprocess
import sys

import harness
import pytest
from forwarder import Forwarder
from wares import Wares

PACKAGES = subprocess.run([sys.executable, str(harness.ROOT / "tools/python_packages")], check=True,
                          capture_output=True, text=True).stdout.strip()

YAML = """\
app: wares
components:
  web: { run: python3 web.py, build: ., port: WEB_PORT }
release:
  checks: [/]
  migrate:
    run: [python3, -m, alembic, -c, /app/alembic.ini, upgrade, head]
    snapshot: { url: DATABASE_URL, image: "local/postgres:1" }
"""
DOCKERFILE = """\
FROM local/python:1
WORKDIR /app
COPY . /app
CMD ["python3", "/app/web.py"]
"""
WEB_PY = """\
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("/app/text.txt", "rb").read())

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
ENV_PY = """\
import os
from alembic import context
from sqlalchemy import create_engine

url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
with create_engine(url).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
VERSION_PY = """\
from alembic import op

revision, down_revision = "%s", %s

def upgrade():
%s

def downgrade():
    pass
"""


@pytest.fixture
def shop(site, engine, postgres):
    engine.tell(f"image python {PACKAGES}")
    engine.tell("image postgres")
    postgres.psql("DROP DATABASE IF EXISTS alembic")
    postgres.make_database("alembic", "CREATE TABLE item (id int); INSERT INTO item VALUES (1);")
    forwarder = Forwarder(postgres.port)
    shop = Wares(site, engine)
    (site.folder / ".env.common").write_text(
        f"DATABASE_URL=postgresql://seatrial:{postgres.password}@host.docker.internal:"
        f"{forwarder.port}/alembic\n")
    shop.repo.commit({"seatrial.yaml": YAML, "Dockerfile": DOCKERFILE, "web.py": WEB_PY,
                      "text.txt": "one", "alembic.ini": "[alembic]\nscript_location = /app/steps\n",
                      "steps/env.py": ENV_PY})
    shop.rows = lambda sql: postgres.rows("alembic", sql)
    yield shop
    engine.clear()
    forwarder.close()


def add(shop, number, *steps):
    before = f'"{number - 1}"' if number > 1 else "None"
    shop.repo.commit({"text.txt": f"text {number}", f"steps/versions/v{number}.py": VERSION_PY % (
        number, before, "\n".join("    " + step for step in steps))})


def test_alembic_steps_and_one_that_fails_between_two_commits(shop):
    add(shop, 1, 'op.execute("CREATE TABLE one (id int)")')
    said = shop.run("deploy", "stg")
    assert "the database is migrated" in said.out
    assert shop.rows("SELECT version_num FROM alembic_version") == ["1"]
    # The third commits the second's work and its own list of what ran, before it fails.
    add(shop, 2, 'op.execute("ALTER TABLE item ADD COLUMN more int")')
    add(shop, 3, 'op.execute("CREATE TABLE three (id int)")', 'op.execute("SELECT no_such()")')
    failed = shop.run("deploy", "stg", ok=False)
    assert failed.code == 1 and "no_such" in failed.err
    assert "the database is what it was before it" in failed.err
    assert shop.rows("SELECT version_num FROM alembic_version") == ["1"]
    assert shop.rows("SELECT count(*) FROM information_schema.columns "
                     "WHERE table_name = 'item'") == ["1"]
    assert shop.text("stg") == "text 1"
    add(shop, 3, 'op.execute("CREATE TABLE three (id int)")')
    mended = shop.run("deploy", "stg")
    assert "there is no SQL to look at" in mended.out
    assert shop.rows("SELECT version_num FROM alembic_version") == ["3"]
    assert shop.text("stg") == "text 3"
