"""What is proved before a release moves, and once more when users are on it: variables, files,
equality of environments, shared databases, checks of every kind."""
import os
import subprocess
import urllib.request

import harness
import pytest
from prober import Prober
from wares import Wares

DOCKERFILE = """\
FROM local/node:1
COPY text.txt app.js /
CMD ["node", "/app.js"]
"""

APP_JS = """\
const http = require('http');
const fs = require('fs');
let jobs = 0;
const text = () => fs.readFileSync('/text.txt', 'utf8').trim();
http.createServer((q, r) => {
  // "late" is good for the first job, of the checks before the switch.
  const broken = text() === 'broken' || (text() === 'late' && jobs > 1);
  if (q.url === '/jobs' && q.method === 'POST') {
    q.resume();
    r.setHeader('content-type', 'application/json');
    return r.end(JSON.stringify({id: ++jobs}));
  }
  if (q.url.startsWith('/jobs/')) {
    return r.end(JSON.stringify({status: broken ? 'failed' : 'done'}));
  }
  if (q.url === '/events') {
    r.setHeader('content-type', 'text/event-stream');
    r.flushHeaders();
    return broken ? undefined : r.write('data: hello\\n\\n');
  }
  if (q.url === '/export.pdf') {
    r.setHeader('content-type', broken ? 'text/html' : 'application/pdf');
    return r.end('%PDF-1.7');
  }
  if (q.url === '/metrics') { return r.end('jobs_total{kind="a"} ' + (broken ? 0 : jobs) + '\\n'); }
  if (q.url === '/key') { return r.end(fs.readFileSync('/app/keys/jwt.pem', 'utf8')); }
  if (q.url === '/built') { return r.end(process.env.BUILT); }
  if (q.url === '/level') { return r.end(process.env.LEVEL); }
  r.end(text() + ' ' + (process.env.WHERE || ''));
}).listen(process.env.WEB_PORT);
process.on('SIGTERM', () => process.exit(0));
"""

APP_YAML = """\
app: wares
components:
  web: {run: node app.js, build: ., port: WEB_PORT, health: /}
"""

CHECKS = """\
release:
  checks:
    - /
    - {post: /jobs, body: "{}", poll: "/jobs/{id}", until: {status: done}, within: 1s}
    - {sse: /events, within: 1s}
    - {download: /export.pdf, type: application/pdf, min_bytes: 8}
    - {metric: /metrics, name: jobs_total, within: 1s}
"""


def yaml(more=""):
    return APP_YAML + more


class Places(Wares):
    """As Wares, with an env file of its own for each environment."""

    def __init__(self, site, engine):
        self.files = {env: site.folder / f".env.{env}" for env in ("stg", "prd")}
        for env in self.files:
            self.write(env, "WHERE=here\n")
        super().__init__(site, engine)

    def text(self, env, path="/"):
        with urllib.request.urlopen(self.url(env) + path, timeout=10) as answer:
            return answer.read().decode().strip()

    def write(self, env, text):
        self.files[env].write_text(text)
        os.chown(self.files[env], *self.owner())
        self.files[env].chmod(0o600)

    def configure(self, approval="false", **more):
        self.site.write_config({
            env: f'release: {{ listen: ["127.0.0.1:{self.ports[env]}"], watch: 0s, drain: 5s, '
                 f'env_files: [{self.files[env]}]{more.get(env, "")} }}'
                 + ("" if env == "stg" else ", approval: " + approval)
            for env in ("stg", "prd")
        }, f"docker: {{ socket: {self.engine.socket}, min_free: 0 }}\n")


@pytest.fixture
def wares(site, engine):
    wares = Places(site, engine)
    wares.repo.commit({"app.js": APP_JS, "seatrial.yaml": yaml(), "Dockerfile": DOCKERFILE})
    yield wares
    engine.clear()


def test_all_faults_of_variables_are_told_at_once_and_nothing_is_built(wares):
    wares.repo.commit({"seatrial.yaml": yaml("""\
env:
  DATABASE_URL: {required: true, type: url, secret: true}
  LEVEL: {values: [debug, info]}
  SENTRY_DSN: {required_if: SENTRY=on}
""")})
    wares.write("stg", "WHERE=here\nLEVEL=hunter2\nSENTRY=on\n")
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 2
    assert f"DATABASE_URL: has no value (give it in {wares.files['stg']})" in refused.err
    assert f"{wares.files['stg']}:2: LEVEL: its value (not shown) is not one of" in refused.err
    assert "SENTRY_DSN: has no value, which SENTRY=on asks for" in refused.err
    assert "hunter2" not in refused.err
    assert wares.run("releases", "--json").json == []
    wares.write("stg", "WHERE=here\nLEVEL=info\nDATABASE_URL=http://x\n")
    wares.run("deploy", "stg")
    assert wares.text("stg", "/level") == "info"
    # The other environment lacks it: what serves there is not touched.
    refused = wares.run("promote", ok=False)
    assert refused.code == 2 and str(wares.files["prd"]) in refused.err
    assert wares.run("history", "prd", "--json").json == []


def test_what_is_built_in_is_the_same_everywhere(wares):
    wares.repo.commit({
        "seatrial.yaml": yaml("env: {THEME: {scope: build}, LEVEL: quiet}\n"),
        "Dockerfile": DOCKERFILE + "ARG THEME=none\nENV LEVEL=loud BUILT=$THEME\n"})
    wares.write("stg", "WHERE=here\nTHEME=dark\n")
    refused = wares.run("build", ok=False)
    assert refused.code == 2 and "THEME: differs between prd and stg" in refused.err
    assert wares.run("releases", "--json").json == []
    wares.write("prd", "WHERE=here\nTHEME=dark\n")
    wares.run("deploy", "stg")
    assert wares.text("stg", "/built") == "dark"
    assert wares.text("stg", "/level") == "quiet"    # the schema's value wins over the image's
    wares.write("prd", "WHERE=here\nTHEME=light\n")
    wares.write("stg", "WHERE=here\nTHEME=light\n")
    refused = wares.run("promote", ok=False)
    assert refused.code == 2 and "THEME: is built into" in refused.err
    assert len(wares.run("releases", "--json").json) == 1


def test_keys_are_files_that_containers_read(wares):
    key = wares.site.folder / "jwt.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n")
    os.chown(key, *wares.owner())
    key.chmod(0o644)
    wares.configure(stg=f", key_files: {{jwt: {{file: {key}, target: /app/keys/jwt.pem}}}}")
    # An ordinary user of the image reads it, too.
    wares.repo.commit({"Dockerfile": DOCKERFILE + "USER 4711\n"})
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 2 and f"chmod 600 {key}" in refused.err
    key.chmod(0o600)
    wares.write("stg", 'WHERE=here\nJWT="-----BEGIN PRIVATE KEY-----\nAAAA\n"\n')
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 2 and f"{wares.files['stg']}:2: JWT: is a private key" in refused.err
    assert "AAAA" not in refused.err
    wares.write("stg", "WHERE=here\n")
    wares.run("deploy", "stg", "--wait")
    assert "AAAA" in wares.text("stg", "/key")
    copies = wares.site.data / "keys"
    (first,) = copies.iterdir()
    assert oct(first.stat().st_mode & 0o777) == "0o700"
    # Nothing of a slot stays when it goes.
    wares.change("two")
    wares.run("deploy", "stg", "--wait")
    wares.change("three")
    wares.run("deploy", "stg", "--wait")
    wares.change("four")
    wares.run("deploy", "stg", "--wait")
    slots = len(wares.deployment("stg")["slots"])
    assert slots < 4 and len(list(copies.iterdir())) == slots


def test_env_files_are_not_for_git(wares):
    tree = wares.site.folder / "config"
    tree.mkdir()
    subprocess.run(["git", "init", "-q", tree], check=True)
    tracked = tree / ".env.stg"
    wares.files["stg"] = tracked
    wares.write("stg", "WHERE=here\n")
    subprocess.run(["git", "-C", tree, "add", "."], check=True)
    wares.configure()
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 2 and f"{tracked}: is tracked by git" in refused.err
    subprocess.run(["git", "-C", tree, "rm", "-q", "--cached", ".env.stg"], check=True)
    noted = wares.run("deploy", "stg").out
    assert "does not ignore it" in noted, noted
    (tree / ".gitignore").write_text(".env.*\n")
    assert "ignore" not in wares.run("deploy", "stg").out


def test_promote_proves_that_both_places_are_the_same(wares):
    wares.configure(prd=', may_differ: [TOKEN, "*_PORT"]')
    wares.write("stg", "WHERE=here\nLEVEL=debug\nDOCKER_PORT=4400\n")
    wares.write("prd", "WHERE=here\nLEVEL=info\nDOCKER_PORT=4500\nNEW=1\n")
    wares.run("deploy", "stg")
    refused = wares.run("promote", ok=False)
    assert refused.code == 3
    assert "LEVEL has another value in prd than in stg\nNEW is only in prd" in refused.err
    assert "DOCKER_PORT" not in refused.err and "debug" not in refused.err
    assert wares.run("promote", "--dry-run", ok=False).err == refused.err
    plan = wares.run("promote", "--dry-run", "--allow-differences")
    assert "allowed: NEW is only in prd" in plan.out and "Nothing was changed." in plan.out
    assert wares.deployment("prd") is None
    allowed = wares.run("promote", "--allow-differences", "--reason", "we know")
    assert "allowed: NEW is only in prd" in allowed.out
    event = next(row for row in wares.run("history", "prd", "--json").json if row["kind"] == "deploy")
    assert event["data"]["differences"] == ["LEVEL has another value in prd than in stg",
                                            "NEW is only in prd"]
    wares.write("prd", "WHERE=here\nLEVEL=debug\nDOCKER_PORT=4500\nTOKEN=two\n")
    wares.write("stg", "WHERE=here\nLEVEL=debug\nDOCKER_PORT=4400\nTOKEN=one\n")
    assert "allowed" not in wares.run("promote").out
    serves = wares.deployment("prd")["serving"]
    wares.change("two")
    wares.run("deploy", "stg")
    wares.run("promote")
    back = wares.run("rollback", "prd", "--dry-run", "--json").json
    assert back["tag"] == serves and back["serving"] == wares.deployment("prd")["serving"] != serves
    assert not back["needs_approval"] and not wares.deployment("prd")["held"]


def test_a_yes_is_bound_to_the_differences_that_were_shown(wares):
    wares.configure(approval="true")
    wares.write("prd", "WHERE=there\n")
    wares.run("deploy", "stg")
    asked = wares.run("promote", "--allow-differences", "--no-wait", "--json").json["approval"]
    assert asked["differences"] == ["WHERE has another value in prd than in stg"]
    wares.write("prd", "WHERE=there\nNEW=1\n")
    refused = wares.run("approve", asked["id"], ok=False)
    assert refused.code == 3, refused
    wares.write("prd", "WHERE=there\n")
    wares.run("approve", asked["id"])
    harness.wait_for(lambda: wares.deployment("prd")["serving"], "the switch", 60)


def test_a_shared_database_has_the_rules_of_production(wares):
    for env in ("stg", "prd"):
        wares.write(env, f"WHERE=here\nCOOKIE_DOMAIN=.x\nDATABASE_URL=postgres://{env}@db/shop\n")
    wares.configure(prd=", may_differ: [DATABASE_URL]", approval="true")
    noted = wares.run("deploy", "stg").out
    assert "DATABASE_URL is the database of prd, too" in noted and "COOKIE_DOMAIN" in noted
    assert "postgres://" not in noted
    told = wares.run("doctor", ok=False).out
    assert "DATABASE_URL is the database of prd, too" in told
    # A migration asks for production's approval, in staging as well.
    wares.repo.commit({
        "seatrial.yaml": yaml("release: {migrate: {run: [node, -e, ''], sql: [sql]}}\n"),
        "sql/1.sql": "CREATE TABLE item (id int, note text);\n"})
    waits = wares.run("deploy", "stg", "--no-wait", "--json").json_lines[-1]
    assert waits["approval"]["state"] == "open", waits
    wares.run("approve", waits["approval"]["id"])
    tag = wares.run("releases", "--json").json[0]["tag"]
    harness.wait_for(lambda: wares.deployment("stg")["serving"] == tag, "the switch", 60)


def test_what_the_other_environment_uses_is_not_taken_away(wares):
    """One database: a contract that staging declares must not break production."""
    for env in ("stg", "prd"):
        wares.write(env, "WHERE=here\nDATABASE_URL=postgres://a@db/shop\n")
    release = "release: {migrate: {run: [node, -e, ''], sql: [sql]%s}}\n"
    wares.repo.commit({"seatrial.yaml": yaml(release % ""), "sql/1.sql": "CREATE TABLE a (b int);\n"})
    wares.run("deploy", "stg")
    wares.run("promote")
    first = wares.deployment("prd")["serving"]
    wares.change("two")
    wares.run("deploy", "stg")
    wares.repo.commit({"seatrial.yaml": yaml(release % ", contract: true"),
                       "sql/2.sql": "ALTER TABLE a DROP COLUMN b;\n"})
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 3
    assert f"{first} in prd on the same database" in refused.err, refused
    assert "sql/2.sql:1 DROP COLUMN a.b" in refused.err
    assert wares.text("stg") == "two here"
    # Once production has left it behind, it goes; then there is no way back in production, either.
    wares.run("promote")
    wares.run("deploy", "stg")
    back = wares.run("rollback", "prd", ok=False)
    assert back.code == 3 and "there is no way back" in back.err
    assert wares.text("prd") == "two here"


def test_check_names_env_files_that_git_has(wares):
    wares.repo.commit({".env.production": "A=1\n", ".env.example": "A=\n",
                       "keys/.env": 'K="-----BEGIN PRIVATE KEY-----\nAAAA"\n'})
    told = wares.run("check", ok=False)
    assert told.code == 2
    assert "warning .env.production: warning: is tracked by git" in told.out, told
    assert "error keys/.env: holds a private key" in told.out
    assert ".env.example" not in told.out and "AAAA" not in told.out


def test_kill_9_between_the_switch_and_its_checks(wares):
    daemon = wares.site.serve()
    daemon.wait_ready()
    # The check after the switch takes its 3 s: the job is never done.
    wares.repo.commit({"seatrial.yaml": yaml(CHECKS.replace("{status: done}, within: 1s",
                                                            "{status: done}, within: 3s"))})
    wares.run("deploy", "stg", "--wait")
    wares.change("late")
    late = wares.run("build", "--json").json
    wares.run("deploy", "stg", "--release", late["id"], "--no-wait")
    harness.wait_for(lambda: wares.text("stg") == "late here", "the switch", 60)
    daemon.kill()
    wares.site.serve().wait_ready()
    harness.wait_for(lambda: wares.text("stg") == "one here", "the way back", 60)
    harness.wait_for(lambda: wares.run("incidents", "--json").json, "the incident", 10)
    incident, = wares.run("incidents", "--json").json
    assert incident["switched"] and "after the switch" in incident["cause"]


def test_checks_of_every_kind_before_and_after_the_switch(wares):
    wares.repo.commit({"seatrial.yaml": yaml(CHECKS)})
    good = wares.run("deploy", "stg")
    assert "5 smoke checks passed, unseen by users" in good.out
    assert "5 checks passed again, with users on it" in good.out
    prober = Prober(wares.url("stg"), rate=20, kinds=["new"])
    try:
        bad_releases(wares)
    finally:
        report = prober.stop()
    assert report["failed"] == [], report


def test_checks_are_done_where_the_edge_speaks_tls_alone(wares):
    wares.configure(stg=f", certificate: {wares.make_certificate()}")
    wares.repo.commit({"seatrial.yaml": yaml(CHECKS)})
    good = wares.run("deploy", "stg")
    assert "5 smoke checks passed, unseen by users" in good.out
    wares.change("broken")
    bad = wares.run("deploy", "stg", ok=False)
    assert bad.code == 1 and "event stream /events sent no event within 1 s" in bad.err, bad
    url = wares.url("stg").replace("http", "https")
    with urllib.request.urlopen(url, timeout=10, context=wares.trust) as answer:
        assert answer.read().decode().strip() == "one here"


def test_a_file_that_a_check_sends_is_of_the_commit_and_small(wares):
    wares.repo.commit({"seatrial.yaml": yaml(
        "release: {checks: [{post: /jobs, file: samples/a, field: file, poll: '/jobs/{id}', "
        "until: {status: done}}]}\n")})
    (wares.repo.folder / "samples").mkdir()
    (wares.repo.folder / "samples/a").write_text("not committed")
    refused = wares.run("build", ok=False)
    assert refused.code == 2 and "release.checks[0].file" in refused.err, refused
    assert "has no file samples/a" in refused.err
    wares.repo.commit({"samples/a": "x" * (129 << 10)})
    refused = wares.run("build", ok=False)
    assert refused.code == 2 and "are over 128 KB" in refused.err, refused
    wares.repo.commit({"samples/a": "x" * (127 << 10)})
    assert "1 smoke checks passed" in wares.run("deploy", "stg").out


def bad_releases(wares):
    wares.change("broken")
    bad = wares.run("deploy", "stg", ok=False)
    assert bad.code == 1
    for failure in ("job POST /jobs was not done within 1 s: the job answered 200, status=failed",
                    "event stream /events sent no event within 1 s",
                    "download /export.pdf came as 'text/html', not application/pdf",
                    "metric jobs_total of /metrics jobs_total grew by 0.0, not by 1"):
        assert failure in bad.err
    assert wares.text("stg") == "one here"
    incident, = wares.run("incidents", "--json").json
    assert not incident["switched"]
    # Bad once users are on it: taken back.
    wares.change("late")
    late = wares.run("deploy", "stg", ok=False)
    assert late.code == 1
    assert "checks failed after the switch" in late.err and "/export.pdf" in late.err
    harness.wait_for(lambda: wares.text("stg") == "one here", "the way back", 20)
    newest = max(wares.run("incidents", "--json").json, key=lambda row: row["id"])
    assert newest["switched"] and "after the switch" in newest["cause"]
    refused = wares.run("deploy", "stg", "--release", newest["tag"], ok=False)
    assert refused.code == 3 and "was rejected" in refused.err
