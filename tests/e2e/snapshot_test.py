"""Copies of the database before a migration, and the way back when one fails, with a real
PostgreSQL whose programs run in containers."""
import subprocess

import harness
import pytest
from forwarder import Forwarder
from prober import Prober
from wares import APP_YAML, Wares

DOCKERFILE = """\
FROM local/postgres:1
COPY text.txt mode.txt served.js /
COPY migrations /migrations
CMD ["node", "/served.js"]
"""


@pytest.fixture(scope="module")
def tools(engine):
    engine.tell("image postgres")


class Shop(Wares):
    def __init__(self, site, engine, postgres, port):
        super().__init__(site, engine)
        self.postgres = postgres
        url = f"postgresql://seatrial:{postgres.password}@host.docker.internal:{port}/snap"
        (site.folder / ".env.common").write_text(f"WHERE=here\nDATABASE_URL={url}\n")

    def migration(self, number, sql, **keys):
        """A commit whose migration is this file; `keys`: more of release.migrate."""
        more = "".join(f", {name}: {value}" for name, value in keys.items())
        run = f"[node, /migrations/run.js, /migrations/{number}.sql]"
        self.repo.commit({
            "seatrial.yaml": APP_YAML.replace(
                "{ checks: [/] }", "{checks: [/], migrate: {run: %s%s}}" % (run, more)),
            "Dockerfile": DOCKERFILE, "text.txt": f"text {number}\n",
            "migrations/run.js": RUN_JS, f"migrations/{number}.sql": sql})

    def rows(self, sql):
        return self.postgres.rows("snap", sql)

    def folder(self):
        return next((self.site.data / "snapshots").glob("*"))


RUN_JS = """\
const run = require('child_process').spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f',
  process.argv[2], process.env.DATABASE_URL], {stdio: 'inherit'});
process.exit(run.status === null ? 99 : run.status);
"""


@pytest.fixture
def shop(site, engine, postgres, tools):
    postgres.psql("DROP DATABASE IF EXISTS snap")
    postgres.make_database("snap", "CREATE TABLE item (id int PRIMARY KEY, note text);"
                                   "INSERT INTO item SELECT n, 'x' FROM generate_series(1, 50) n;")
    forwarder = Forwarder(postgres.port)
    yield Shop(site, engine, postgres, forwarder.port)
    engine.clear()
    forwarder.close()


SNAPSHOT = "DATABASE_URL"
BROKEN = "CREATE TABLE half (id int);\nALTER TABLE item ADD COLUMN more int;\nSELECT no_such();\n"


def test_a_copy_before_each_migration_and_the_newest_are_kept(shop):
    for number in range(1, 4):
        shop.migration(number, f"CREATE TABLE t{number} (id int);\n",
                       snapshot="{url: DATABASE_URL, image: \"local/postgres:1\", keep: 2}")
        said = shop.run("deploy", "stg")
        assert "kept a copy of the database" in said.out
    kept = sorted(path.name for path in shop.folder().glob("*.dump"))
    assert len(kept) == 2
    assert shop.folder().stat().st_mode & 0o777 == 0o700
    # The newest was taken before its migration: PostgreSQL itself reads it.
    newest = max(shop.folder().glob("*.dump"), key=lambda path: path.stat().st_mtime)
    listed = subprocess.run([harness.private_postgres.bindir() / "pg_restore", "-l", newest],
                            check=True, capture_output=True, text=True).stdout
    assert " t2 " in listed and " t3 " not in listed
    for text in (said.out, said.err, *(path.read_text() for path in shop.folder().glob("*.sql"))):
        assert shop.postgres.password not in text


def test_a_migration_that_fails_half_way_is_undone_when_nobody_wrote(shop):
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    before = shop.rows("SELECT id, note FROM item ORDER BY 1")
    shop.migration(2, BROKEN, snapshot=SNAPSHOT)
    probe = Prober(shop.url("stg"))
    failed = shop.run("deploy", "stg", ok=False)
    assert failed.code == 1
    assert "no_such" in failed.err
    assert "the database is what it was before it" in failed.err
    assert "mend the migration" in failed.err and "look at the database" not in failed.err
    assert not probe.stop()["failed"]
    assert shop.rows("SELECT id, note FROM item ORDER BY 1") == before
    assert shop.rows("SELECT to_regclass('half') IS NULL") == ["t"]
    incident, = shop.run("incidents", "--json").json
    assert "no_such" in incident["cause"] and "was restored" in incident["cause"]
    # The same again, mended, finds what it expects.
    shop.migration(3, BROKEN.replace("SELECT no_such();\n", ""), snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    assert shop.text("stg") == "text 3 here"


def test_nothing_that_was_written_since_is_lost(shop):
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    shop.migration(2, "CREATE TABLE half (id int);\nINSERT INTO item VALUES (100, 'user');\n"
                      "SELECT no_such();\n", snapshot=SNAPSHOT)
    failed = shop.run("deploy", "stg", ok=False)
    assert failed.code == 1
    assert "was not restored: what was written since would be lost: public.item (1 rows added or " \
           "changed, 0 changed or removed)" in failed.err
    assert shop.rows("SELECT note FROM item WHERE id = 100") == ["user"]
    assert shop.rows("SELECT to_regclass('half') IS NULL") == ["f"]


def test_the_down_command_comes_first(shop):
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    shop.repo.commit({"migrations/down.sql": "DROP TABLE half;\n"})
    down = "[node, /migrations/run.js, /migrations/down.sql]"
    shop.migration(2, "CREATE TABLE half (id int);\nINSERT INTO item VALUES (100, 'user');\n"
                      "SELECT no_such();\n", snapshot=SNAPSHOT, down=down)
    failed = shop.run("deploy", "stg", ok=False)
    assert "its down command undid it" in failed.err
    assert shop.rows("SELECT note FROM item WHERE id = 100") == ["user"]
    assert shop.rows("SELECT to_regclass('half') IS NULL") == ["t"]


def test_without_a_copy_nothing_begins(shop):
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot="NO_SUCH_VARIABLE")
    failed = shop.run("deploy", "stg", ok=False)
    assert failed.code == 1
    assert "the snapshot before it NO_SUCH_VARIABLE is not set there" in failed.err
    assert "release.migrate.snapshot" in failed.err
    assert shop.rows("SELECT to_regclass('one') IS NULL") == ["t"]


@pytest.mark.parametrize("point", [
    "snapshot_counted", "snapshot_taken", "migration_failed", "snapshot_restored"])
def test_kill_9_loses_no_way_back(shop, point):
    shop.site.serve().wait_ready()
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    shop.site.daemon.kill()
    shop.site.serve({"SEATRIAL_FAILPOINTS": f"release.{point}=kill"}).wait_ready()
    shop.migration(2, BROKEN, snapshot=SNAPSHOT)
    shop.run("deploy", "stg", "--no-wait")
    shop.site.daemon.process.wait(60)
    shop.site.serve().wait_ready()

    def ended():
        return shop.run("incidents", "--json").json
    incident, = harness.wait_for(ended, "the end of the deploy", 60)
    assert "was restored" in incident["cause"]
    assert shop.rows("SELECT to_regclass('half') IS NULL") == ["t"]
    assert shop.rows("SELECT count(*) FROM item") == ["50"]
    assert shop.text("stg") == "text 1 here"
