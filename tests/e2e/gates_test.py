"""Gates that ask a real Prometheus about the app's own figures, and the one on migrations."""
import shutil
import subprocess
import urllib.request

import harness
import pytest
from wares import APP_YAML, DOCKERFILE, Wares, free_port

# Does a hundred jobs a second, of which half fail when mode.txt says so; tells them as metrics.
APP_JS = """\
const http = require('http');
const fs = require('fs');
const mode = fs.readFileSync('/mode.txt', 'utf8').trim();
const text = fs.readFileSync('/text.txt', 'utf8').trim();
const jobs = { ok: 0, failed: 0 };
setInterval(() => {
  if (mode !== 'idle') jobs[mode === 'fails' && (jobs.ok > jobs.failed) ? 'failed' : 'ok'] += 1;
}, 10);
http.createServer((request, response) => {
  if (request.url !== '/metrics') return response.end(text);
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end('# TYPE jobs_total counter\\n' + Object.entries(jobs).map(([result, count]) =>
    `jobs_total{release="${process.env.SEATRIAL_RELEASE}",result="${result}"} ${count}\\n`).join(''));
}).listen(process.env.WEB_PORT);
process.on('SIGTERM', () => process.exit(0));
"""

OF_RELEASE = 'release="${SEATRIAL_RELEASE}"'
QUERY = (f'sum(rate(jobs_total{{{OF_RELEASE},result="ok"}}[5s]))'
         f' / sum(rate(jobs_total{{{OF_RELEASE}}}[5s]))')


class Prometheus:
    """A private one, that looks at those addresses every fifth of a second."""

    def __init__(self, folder, targets):
        if not shutil.which("prometheus"):
            pytest.fail("prometheus is not installed: ./dev setup test")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        config = folder / "prometheus.yml"
        config.write_text("global: { scrape_interval: 200ms, scrape_timeout: 200ms }\n"
                          "scrape_configs: [{ job_name: app, static_configs: [{ targets: ["
                          + ", ".join(f'"{target}"' for target in targets) + "] }] }]\n")
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        harness.wait_for(self.ready, "Prometheus", 60, 0.1)

    def ready(self):
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def wares(site, engine):
    wares = Wares(site, engine)
    targets = [f"127.0.0.1:{port}" for port in wares.ports.values()]
    wares.prometheus = Prometheus(site.folder / "prometheus", targets)
    wares.repo.commit({"app.js": APP_JS, "Dockerfile": DOCKERFILE.replace("served.js", "app.js"),
                       "seatrial.yaml": APP_YAML})
    site.serve().wait_ready()
    yield wares
    wares.prometheus.stop()
    engine.clear()


def gate(wares, more, settings="watch: 5s, hold: 25s, drain: 0s"):
    """With a gate on jobs in every environment."""
    wares.release = (f"{settings}, gates: {{ job_success: {{ prometheus: '{wares.prometheus.url}', "
                     f"query: '{QUERY}', {more} }} }}")
    wares.configure()
    wares.site.daemon.terminate()
    wares.site.serve().wait_ready()


def incident(wares, env):
    return wares.run("incidents", "--env", env, "--json").json[0]


def test_a_release_whose_jobs_fail(wares):
    gate(wares, "on_breach: rollback")
    wares.change("good")
    said = wares.run("deploy", "prd", "--wait").out
    assert "job success 100 %, limit 95 %: pass" in said

    wares.change("bad", "fails")
    refused = wares.run("deploy", "prd", "--wait", ok=False)
    assert refused.code == 1 and "limit 95 %: fail" in refused.err, refused
    harness.wait_for(lambda: wares.text("prd") == "good", "the way back")
    told = incident(wares, "prd")
    assert told["cause"].startswith("job success ") and told["switched"]
    assert 30 < float(told["cause"].split()[2]) < 80, told
    assert told["cause"] in told["gates"] and told["cause"] in refused.err
    listed = wares.run("releases", "--json").json
    assert told["cause"] == next(one["rejected"] for one in listed if one["tag"] == told["tag"])

    # By default it stops: users stay where they are until people decide.
    gate(wares, "min: 95%")
    wares.change("good again")
    wares.run("deploy", "stg", "--wait")
    wares.change("bad again", "fails")
    stopped = wares.run("deploy", "stg", "--wait", ok=False)
    assert stopped.code == 1 and "`seatrial rollback stg` takes it back" in stopped.err, stopped
    assert wares.deployment("stg")["stopped"] and wares.text("stg") == "bad again"
    told = incident(wares, "stg")
    assert told["cause"].startswith("job success ") and told["back_to"] == told["tag"]
    wares.run("rollback", "stg")
    assert wares.text("stg") == "good again"


def test_a_prometheus_that_does_not_tell(wares):
    gate(wares, "on_breach: rollback", "watch: 0s, hold: 2s, drain: 0s")
    wares.change("idle", "idle")    # no job in 5 s: 0 / 0
    stopped = wares.run("deploy", "prd", "--wait", ok=False)
    assert "job success, limit 95 %: nothing is measured: inconclusive" in stopped.err, stopped
    assert wares.text("prd") == "idle"

    wares.prometheus.process.kill()
    wares.prometheus.process.wait()
    wares.change("blind")
    stopped = wares.run("deploy", "prd", "--wait", ok=False)
    assert stopped.code == 1 and "Prometheus does not answer" in stopped.err, stopped
    assert wares.text("prd") == "blind" and wares.deployment("prd")["stopped"]
    assert not any(one.get("rejected") for one in wares.run("releases", "--json").json)


def test_a_migration_that_takes_too_long(wares):
    wares.release = "watch: 0s, drain: 0s, gates: { migration: 1s }"
    wares.configure()
    wares.site.daemon.terminate()
    wares.site.serve().wait_ready()
    wares.change("first")
    wares.run("deploy", "prd", "--wait")
    wares.repo.commit({"seatrial.yaml": APP_YAML.replace(
        "release: {", "release: { migrate: { run: [node, -e, 'setTimeout(() => {}, 2000)'] },")})
    wares.change("second")
    stopped = wares.run("deploy", "prd", ok=False)
    assert stopped.code == 1 and "limit 1 s: fail" in stopped.err, stopped
    assert wares.text("prd") == "first"
    told = incident(wares, "prd")
    assert told["cause"].startswith("migration ") and not told["switched"]
    tag = wares.deployment("prd")["wanted"]
    assert told["back_to"] == wares.deployment("prd")["serving"] != tag

    # Back to what serves, not to what was before it.
    wares.run("rollback", "prd")
    assert wares.text("prd") == "first"
    harness.wait_for(lambda: len(wares.deployment("prd")["slots"]) == 1, "the other to go")
    assert wares.deployment("prd")["wanted"] == told["back_to"]

    # People decided: it has run.
    wares.run("deploy", "prd", "--release", tag, "--wait")
    assert wares.text("prd") == "second"
