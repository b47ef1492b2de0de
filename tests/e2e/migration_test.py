"""Migrations of releases from the command line: once each, looked at before, in time, and never
twice whoever dies."""
import http.server
import threading

import harness
import pytest
from wares import APP_YAML, DOCKERFILE, Wares

# Asks the test at the container's gateway and does what it says: an exit code.
MIGRATE_JS = """\
const hex = require('fs').readFileSync('/proc/net/route', 'utf8').split('\\n')[1].split('\\t')[2];
const host = hex.match(/../g).reverse().map((two) => parseInt(two, 16)).join('.');
require('http').get(`http://${host}:${process.env.COUNTER}/${process.env.SEATRIAL_RELEASE}`, (r) => {
  let text = '';
  r.on('data', (part) => { text += part; });
  r.on('end', () => { console.log('told ' + text); process.exit(Number(text)); });
});
"""

YAML = APP_YAML.replace(
    "release: { checks: [/] }",
    "release: {checks: [/], migrate: {run: [node, /migrate.js], sql: [migrations]%s}}")


class Counter:
    """Who migrated, in order; `hold` makes them wait."""

    def __init__(self):
        self.asked, self.answer = [], "0"
        self.free = threading.Event()
        self.free.set()
        counter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                counter.asked.append(self.path[1:])
                counter.free.wait(60)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(counter.answer.encode())

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.free.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def counter():
    counter = Counter()
    yield counter
    counter.stop()


@pytest.fixture
def wares(site, engine, counter):  # noqa: F811
    wares = Wares(site, engine)
    (site.folder / ".env.common").write_text(
        f"WHERE=here\nCOUNTER={counter.server.server_address[1]}\n")
    wares.repo.commit({
        "seatrial.yaml": YAML % "", "migrate.js": MIGRATE_JS,
        "Dockerfile": DOCKERFILE.replace("served.js /\n", "served.js migrate.js /\n"),
        "migrations/001.sql": "CREATE TABLE item (id int, note text);\nDROP TABLE IF EXISTS old;\n"})
    yield wares
    engine.clear()


def test_each_release_migrates_once_per_environment(wares, counter):
    first = wares.run("deploy", "stg")
    assert "the database is migrated" in first.out
    tag = wares.deployment("stg")["serving"]
    assert counter.asked == [tag]
    # Again: it ran.
    wares.run("deploy", "stg", "--wait")
    assert counter.asked == [tag]
    wares.run("promote")
    assert counter.asked == [tag, tag]
    assert wares.text("prd") == "one here"


def test_what_takes_away_is_refused_unless_it_is_said(wares, counter):
    wares.run("deploy", "stg")
    ran = list(counter.asked)
    wares.repo.commit({"migrations/002.sql": "-- x\nALTER TABLE item\n  DROP COLUMN note;\n"})
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 3
    assert "migrations/002.sql:3 DROP COLUMN item.note" in refused.err
    assert "contract: true" in refused.err and "001.sql" not in refused.err
    assert counter.asked == ran
    wares.repo.commit({"seatrial.yaml": YAML % ", contract: true"})
    said = wares.run("deploy", "stg")
    assert "migrations/002.sql:3 DROP COLUMN item.note" in said.out
    assert len(counter.asked) == 2
    serving = wares.deployment("stg")["serving"]
    back = wares.run("rollback", "stg", ok=False)
    assert back.code == 3 and "there is no way back" in back.err and serving in back.err
    assert wares.deployment("stg")["serving"] == serving
    assert not wares.deployment("stg")["held"]


def test_a_migration_that_nobody_can_look_at_needs_a_yes(wares, counter):
    wares.site.config.write_text(wares.site.config.read_text().replace("stg: { approval: false, ", "stg: { "))
    assert wares.site.config.read_text().count("approval: false") == 1
    wares.run("deploy", "stg")    # nobody is there who could be harmed
    wares.change("two")
    wares.run("deploy", "stg")    # its SQL can be looked at
    wares.repo.commit({"seatrial.yaml": YAML.replace(", sql: [migrations]", "") % ""})
    before = list(counter.asked)
    told = wares.run("deploy", "stg", "--no-wait")
    request, = wares.run("approvals", "--json").json
    assert "there is no SQL to look at" in " ".join(request["migration"]["notes"])
    assert f"seatrial approve {request['id']}" in told.out
    release = request["tag"]
    assert counter.asked == before
    wares.run("approve", request["id"])
    harness.wait_for(lambda: wares.deployment("stg")["serving"] == release, "the release to serve", 60)
    assert counter.asked == [*before, release]
    # Into production it needs none: somebody has said so there.
    wares.run("promote")


def test_a_migration_that_fails_changes_nothing_for_users(wares, counter):
    wares.run("deploy", "stg")
    wares.change("two")
    counter.answer = "3"
    failed = wares.run("deploy", "stg", ok=False)
    assert failed.code == 1
    assert "the migration of" in failed.err and "exit code 3" in failed.err
    assert "told 3" in failed.err
    assert wares.text("stg") == "one here"
    incident, = wares.run("incidents", "--json").json
    assert "exit code 3" in incident["cause"]
    counter.answer = "0"
    wares.run("deploy", "stg")
    assert wares.text("stg") == "two here"


def test_a_migration_that_takes_too_long_is_ended(wares, counter):
    wares.run("deploy", "stg")
    wares.repo.commit({"seatrial.yaml": YAML % ", timeout: 2s", "text.txt": "two\n"})
    counter.free.clear()
    failed = wares.run("deploy", "stg", ok=False)
    assert failed.code == 1 and "took too long" in failed.err
    assert "release.migrate.timeout" in failed.err
    assert wares.text("stg") == "one here"


@pytest.mark.parametrize("point", ["named", "made", "ended", "during"])
def test_kill_9_runs_no_migration_twice(wares, counter, point):
    if point == "during":
        wares.site.serve().wait_ready()
        counter.free.clear()
    else:
        wares.site.serve({"SEATRIAL_FAILPOINTS": f"release.migration_{point}=kill"}).wait_ready()
    wares.run("deploy", "stg", "--no-wait")
    if point == "during":
        harness.wait_for(lambda: counter.asked, "the migration")
        wares.site.daemon.kill()
        counter.free.set()
    else:
        wares.site.daemon.process.wait(60)
    wares.site.serve().wait_ready()

    def serves():
        try:
            return wares.text("stg") == "one here"
        except OSError:
            return False    # the records switch first, the edge follows
    harness.wait_for(serves, "the deploy after a restart", 60)
    assert len(counter.asked) == 1
