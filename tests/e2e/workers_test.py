"""Workers of a release: they end when users have left it, after the job they do, and are started
again when users come back; whoever dies in between."""
import http.server
import json
import re
import threading

import harness
import pytest
from prober import Prober
from wares import APP_YAML, DOCKERFILE, Wares

# Asks the test for a job, says when it began and when it is done; on SIGTERM it ends after its job.
WORKER_JS = """\
const http = require('http');
const hex = require('fs').readFileSync('/proc/net/route', 'utf8').split('\\n')[1].split('\\t')[2];
const host = hex.match(/../g).reverse().map((two) => parseInt(two, 16)).join('.');
const me = process.env.SEATRIAL_RELEASE;
const phase = () => require('fs').readFileSync(process.env.SEATRIAL_PHASE_FILE, 'utf8').trim();
const tell = (path) => new Promise((done) => {
  http.get(`http://${host}:${process.env.JOBS}/${path}?${me}`, (r) => {
    let text = '';
    r.on('data', (part) => { text += part; });
    r.on('end', () => done(text));
  }).on('error', () => setTimeout(() => done(''), 50));
});
let ends = 0;
process.on('SIGTERM', () => { ends += 1; if (ends > 1) process.exit(9); });
(async () => {
  await tell('up');
  for (let told = ''; !ends;) {
    if (told !== phase()) await tell('phase/' + (told = phase()));
    const job = await tell('next');
    if (job) {
      while (await tell('busy/' + job) === 'work') ;
      await tell('done/' + job);
    }
  }
  process.exit(0);
})();
"""

YAML = APP_YAML.replace(
    "release:", "  worker: { run: node worker.js, build: { file: Worker } }\nrelease:")


class Jobs:
    """Gives out one job when it is asked to, and holds it until it is let go."""

    def __init__(self):
        self.lock = threading.Lock()
        self.waiting, self.taken, self.done, self.up = [], [], [], []
        self.asking = set()
        self.phases = []
        self.free = threading.Event()
        jobs = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = jobs.answer(*self.path[1:].split("?"))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def answer(self, path, who):
        with self.lock:
            if path == "up":
                self.up.append(who)
            elif path == "next":
                self.asking.add(who)
                if self.waiting and self.waiting[0][1] in (None, who):
                    self.taken.append((self.waiting[0][0], who))
                    return self.waiting.pop(0)[0]
            elif path.startswith("phase/"):
                self.phases.append((path[6:], who))
            elif path.startswith("done/"):
                self.done.append((path[5:], who))
        if path.startswith("busy/"):
            return "" if self.free.wait(0.05) else "work"
        return "" if path != "next" or self.free.wait(0.02) else ""

    def put(self, name, for_whom=None):
        with self.lock:
            self.waiting.append((name, for_whom))
        harness.wait_for(lambda: name in [job for job, _ in self.taken], f"a worker to take {name}")

    def stop(self):
        self.free.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def jobs():
    jobs = Jobs()
    yield jobs
    jobs.stop()


@pytest.fixture
def wares(site, engine, jobs):
    wares = Wares(site, engine, "watch: 0s, drain: 20s")
    (site.folder / ".env.common").write_text(
        f"WHERE=here\nJOBS={jobs.server.server_address[1]}\n")
    wares.repo.commit({
        "seatrial.yaml": YAML, "worker.js": WORKER_JS,
        "Worker": "FROM local/node:1\nCOPY worker.js text.txt /\nCMD [\"node\", \"/worker.js\"]\n"})
    yield wares
    engine.clear()


def workers(wares, engine, env="stg"):
    """{slot: does its worker run?}"""
    return {slot["slot"]: engine.pid(slot["containers"]["worker"][0]) > 0
            for slot in wares.deployment(env)["slots"]}


def test_an_old_worker_finishes_its_job_and_comes_back_with_its_release(wares, engine, jobs):
    wares.run("deploy", "stg", "--wait")
    one = wares.deployment("stg")["serving"]
    jobs.put("first")
    prober = Prober(wares.url("stg"))
    wares.change("two")
    wares.run("deploy", "stg")
    two = wares.deployment("stg")["serving"]
    assert wares.text("stg") == "two here"
    # It works on, while the new one takes what comes.
    harness.wait_for(lambda: "takes no more jobs" in wares.run("history", "stg").out, "the old one to be told")
    assert workers(wares, engine) == {"a": True, "b": True}
    jobs.put("second", two)
    assert jobs.done == []
    jobs.free.set()
    harness.wait_for(lambda: workers(wares, engine) == {"a": False, "b": True}, "the old one's end")
    assert sorted(jobs.done) == [("first", one), ("second", two)]
    harness.wait_for(lambda: {slot["slot"]: slot["phase"] for slot in wares.deployment("stg")["slots"]}
                     == {"a": "warm", "b": "serving"}, "the old one to be warm")
    jobs.free.clear()
    # It is right so: nobody starts it again, also not who has forgotten all about it.
    wares.site.serve().wait_ready()
    wares.site.daemon.kill()
    wares.site.serve().wait_ready()
    wares.run("rollback", "stg", "--wait")
    assert wares.text("stg") == "one here"
    assert jobs.up == [one, two, one]
    assert workers(wares, engine) == {"a": True, "b": False}
    jobs.put("third", one)
    assert prober.stop()["failed"] == []
    assert "ended by itself" not in wares.run("history", "stg").out


def test_a_worker_knows_when_users_are_on_its_release(wares, jobs):
    wares.run("deploy", "stg", "--wait")
    one = wares.deployment("stg")["serving"]
    harness.wait_for(lambda: jobs.phases == [("trial", one), ("live", one)], "the first to know")
    wares.repo.commit({"seatrial.yaml": YAML.replace("[/]", "[{get: /, contains: never}]")})
    bad = wares.run("deploy", "stg", ok=False)
    assert bad.code == 1, bad
    assert [phase for phase, who in jobs.phases if who != one] == ["trial"], jobs.phases
    jobs.phases.clear()
    wares.repo.commit({"seatrial.yaml": YAML})
    # Killed between the records and the switch: whoever comes next tells it.
    wares.site.serve({"SEATRIAL_FAILPOINTS": "release.promoted=kill"})
    wares.site.daemon.wait_ready()
    wares.run("deploy", "stg", "--no-wait")
    wares.site.daemon.process.wait(60)
    harness.wait_for(lambda: [phase for phase, _ in jobs.phases] == ["trial"], "the third to start")
    wares.site.serve().wait_ready()
    harness.wait_for(lambda: [phase for phase, _ in jobs.phases] == ["trial", "live"],
                     "the third to know")
    # Users who come back find workers that know it.
    wares.run("rollback", "stg", "--wait")
    harness.wait_for(lambda: jobs.phases[2:] == [("live", one)], "the first to know again")


def test_a_worker_that_does_not_finish_is_ended_after_the_drain(wares, engine, jobs):
    wares.release = wares.release.replace("drain: 20s", "drain: 1s")
    wares.configure()
    wares.run("deploy", "stg", "--wait")
    jobs.put("endless")
    wares.change("two")
    wares.run("deploy", "stg")
    harness.wait_for(lambda: workers(wares, engine) == {"a": False, "b": True}, "the old one's end")
    assert jobs.done == []
    assert re.search("before their job was done: 1", wares.run("history", "stg").out)


def test_a_worker_that_does_not_start_leaves_the_old_release_serving(wares, engine):
    wares.run("deploy", "stg")
    wares.repo.commit({"worker.js": "console.log('no queue here'); process.exit(4);\n"})
    failed = wares.run("deploy", "stg", ok=False)
    assert failed.code == 1 and "worker ended with exit code 4" in failed.err, failed
    assert "no queue here" in failed.err
    assert wares.text("stg") == "one here"
    harness.wait_for(lambda: workers(wares, engine) == {"a": True}, "the old one's worker alone")


@pytest.mark.parametrize("point", ["rest", "told"])
def test_kill_9_tells_no_worker_twice(wares, engine, jobs, point):
    wares.run("deploy", "stg", "--wait")
    jobs.put("first")
    wares.change("two")
    wares.site.serve({"SEATRIAL_FAILPOINTS": f"release.{point}=kill"})
    wares.site.daemon.wait_ready()
    wares.run("deploy", "stg", "--no-wait")
    wares.site.daemon.process.wait(60)
    wares.site.serve().wait_ready()
    harness.wait_for(lambda: "takes no more jobs" in wares.run("history", "stg").out, "all to be told")
    jobs.free.set()
    harness.wait_for(lambda: workers(wares, engine) == {"a": False, "b": True}, "the old one's end")
    assert [job for job, _ in jobs.done] == ["first"]
    old, = [slot for slot in wares.deployment("stg")["slots"] if slot["slot"] == "a"]
    state = engine.inspect(old["containers"]["worker"][0])["State"]
    assert state["ExitCode"] == 0, json.dumps(state)
