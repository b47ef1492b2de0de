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


def fail_with_a_row(shop, env="stg", snapshot=SNAPSHOT):
    """A migration that fails and is not undone, because a row came with it; the id of the copy."""
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot=snapshot)
    shop.run("deploy", env)
    shop.migration(2, "CREATE TABLE half (id int);\nINSERT INTO item VALUES (100, 'user');\n"
                      "SELECT no_such();\n", snapshot=snapshot)
    assert shop.run("deploy", env, ok=False).code == 1
    return shop.run("snapshots", env, "--json").json[-1]["id"]


def test_people_take_the_copy_back_once_they_know_what_goes(shop):
    shop.site.serve().wait_ready()
    copy = fail_with_a_row(shop)
    first, second = shop.run("snapshots", "stg", "--json").json
    assert (first["serving"], second["serving"]) == ("", first["before"])
    unknown = shop.run("restore", "stg", "no-such-copy", ok=False)
    assert unknown.code == 4 and "seatrial snapshots stg" in unknown.err
    older = shop.run("restore", "stg", first["id"], ok=False)
    assert older.code == 3 and "its migration ran after this copy was made" in older.err
    blind = shop.run("restore", "stg", copy, "--discard", ok=False)
    assert blind.code == 3 and "nobody has seen what would be lost" in blind.err
    told = shop.run("restore", "stg", copy, ok=False)
    assert told.code == 1
    assert "public.item (1 rows added or changed, 0 changed or removed)" in told.err
    assert f"seatrial restore stg {copy} --discard" in told.err
    assert "The database was not changed" in told.err
    assert shop.rows("SELECT note FROM item WHERE id = 100") == ["user"]
    prober = Prober(shop.url("stg"))
    done = shop.run("restore", "stg", copy, "--discard")
    assert "lost: public.item (1 rows added or changed, 0 changed or removed)" in done.out
    assert prober.stop()["failed"] == []
    assert shop.rows("SELECT count(*), max(id) FROM item") == ["50|50"]
    assert shop.rows("SELECT to_regclass('half') IS NULL") == ["t"]
    # What went is kept, and comes back the same way.
    kept = shop.run("snapshots", "stg", "--json").json[-1]
    assert kept["before"] == "restore"
    assert shop.run("restore", "stg", kept["id"], ok=False).code == 1
    shop.run("restore", "stg", kept["id"], "--discard")
    assert shop.rows("SELECT note FROM item WHERE id = 100") == ["user"]
    history = shop.run("history", "stg").out
    assert "restore_refused" in history and "restored" in history
    # A deploy finds the database that its migration expects.
    shop.migration(3, "CREATE TABLE three (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    assert shop.text("stg") == "text 3 here"


def test_a_migration_that_went_with_the_restore_runs_again(shop):
    shop.migration(1, "CREATE TABLE one (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    shop.migration(2, "CREATE TABLE two (id int);\n", snapshot=SNAPSHOT)
    shop.run("deploy", "stg")
    shop.run("rollback", "stg", "--wait")
    assert shop.text("stg") == "text 1 here"
    copy = shop.run("snapshots", "stg", "--json").json[-1]["id"]
    assert "lost: nothing" in shop.run("restore", "stg", copy).out
    assert shop.rows("SELECT to_regclass('two') IS NULL") == ["t"]
    # The release that was warm was made for the other database: it starts anew.
    harness.wait_for(lambda: [slot["phase"] for slot in shop.deployment("stg")["slots"]] ==
                     ["serving"], "the warm slot to go")
    tag = next(each["tag"] for each in shop.run("releases", "--json").json
               if each["tag"] != shop.deployment("stg")["serving"])
    shop.run("deploy", "stg", "--release", tag)
    assert shop.text("stg") == "text 2 here"
    assert shop.rows("SELECT to_regclass('two') IS NULL") == ["f"]


def test_where_a_deploy_needs_a_yes_so_does_a_restore(shop):
    copy = fail_with_a_row(shop, "prd")
    shop.configure(approval="{}")
    harness.stop_pid(int((shop.site.data / "daemon.pid").read_text()))
    shop.site.serve().wait_ready()
    asked = shop.run("restore", "prd", copy, "--no-wait", "--json").json["approval"]
    assert asked["action"] == "restore" and asked["tag"] == copy
    shop.run("approve", asked["id"])
    def kinds():
        return [event["kind"] for event in shop.run("history", "prd", "--json").json]
    harness.wait_for(lambda: "restore_refused" in kinds(), "what would be lost", 60)
    asked = shop.run("restore", "prd", copy, "--discard", "--no-wait", "--json").json["approval"]
    assert "public.item (1 rows added or changed" in " ".join(asked["notes"])
    assert shop.rows("SELECT note FROM item WHERE id = 100") == ["user"]
    shop.run("approve", asked["id"])
    harness.wait_for(lambda: "restored" in kinds(), "the copy to be back", 60)
    assert shop.rows("SELECT count(*) FROM item") == ["50"]


@pytest.mark.parametrize("point", ["restore_named", "snapshot_taken", "restore_ended"])
def test_kill_9_does_not_stop_a_restore(shop, point):
    shop.site.serve().wait_ready()
    # The copy that is kept of what goes must not take the place of the one that comes back.
    copy = fail_with_a_row(shop, snapshot="{url: DATABASE_URL, keep: 1}")
    assert shop.run("restore", "stg", copy, ok=False).code == 1
    shop.site.daemon.kill()
    shop.site.serve({"SEATRIAL_FAILPOINTS": f"release.{point}=kill"}).wait_ready()
    shop.run("restore", "stg", copy, "--discard", "--no-wait")
    shop.site.daemon.process.wait(60)
    shop.site.serve().wait_ready()
    harness.wait_for(lambda: "restored" in shop.run("history", "stg").out, "the copy to be back", 60)
    assert shop.rows("SELECT count(*), max(id) FROM item") == ["50|50"]
    assert len([one for one in shop.run("snapshots", "stg", "--json").json
                if one["before"] == "restore"]) == 1
