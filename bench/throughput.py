"""What a request through the edge costs beside a plain HAProxy with the same routes, in front of the
same containers. Rounds take turns; with every core busy the share of each is what counts."""
import contextlib
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import urllib.request

import harness
import procs
from wares import free_port

SECONDS, CONNECTIONS = 4, 32
APP = """\
app: pages
components:
  fe: { run: npx vite, port: FE_PORT, static: { folder: fe, server: "local/nginx:1" } }
release: { checks: [/] }
"""
# As the edge's, but for what makes it one: no slots, no counts, no gate.
PLAIN = """\
global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 75s
  http-reuse safe
frontend plain
  bind 127.0.0.1:{port}
  http-request set-var(txn.component) path,map_beg({folder}/routes.map)
  http-request set-header x-forwarded-for %[src]
  use_backend %[str(pages),map_str({folder}/stable.map)]
backend fe
  server s1 {server}:8080 check inter 500ms
"""


class Plain:
    def __init__(self, folder, server):
        folder.mkdir()
        self.port = free_port()
        (folder / "routes.map").write_text("/ fe\n")
        (folder / "stable.map").write_text("pages fe\n")
        (folder / "haproxy.cfg").write_text(
            PLAIN.format(port=self.port, folder=folder, server=server))
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_for(self._answers, "plain HAProxy")

    def _answers(self):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1).status == 200

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def edge_worker(folder):
    """The process of the edge that answers: not its master."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if words[0].endswith("haproxy") and str(folder / "haproxy.cfg") in words:
            found.append(int(entry.name))
    return max(found)    # the worker is the master's child


def join_groups(pid, of):
    """A group of its own has another share of a busy machine: what is measured is the rules."""
    for line in pathlib.Path(f"/proc/{of}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in (controllers, "unified", "") if path != "/" else ():
            group = pathlib.Path(f"/sys/fs/cgroup/{mount}{path}/cgroup.procs")
            if group.exists():
                group.write_text(str(pid))
                break


def load(port, pid):
    """Requests per second, and the proxy's seconds of processor per request."""
    before = procs.cpu_seconds([pid])
    said = subprocess.run(
        ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", f"http://127.0.0.1:{port}/"],
        check=True, capture_output=True, text=True).stdout
    used = procs.cpu_seconds([pid]) - before
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    count = int(re.search(r"(\d+) requests in", said).group(1))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), used / count


def measure(options, report, engine, undo):
    if not shutil.which("wrk") or not shutil.which("nginx"):
        print("wrk or nginx is not there: the edge's throughput is not measured")
        return
    engine.tell("image nginx")
    site = harness.Site(harness.temporary_folder("bench"), None)
    undo.callback(site.close)
    port = free_port()
    site.write_config(
        {"stg": f'release: {{ listen: ["127.0.0.1:{port}"], watch: 0s, drain: 1s }}'},
        f"docker: {{ socket: {engine.socket}, min_free: 0 }}\n")
    repo = harness.TinyRepo(site.folder / "pages", "pages")
    repo.commit({"seatrial.yaml": APP, "fe/index.html": "<h1>pages</h1>\n",
                 "package.json": '{"version": "1.0.0"}'})
    site.seatrial("deploy", "stg", "--wait", cwd=repo.folder, ok=True)
    slots = site.get("/api/v1/deployments?app=pages&env=stg")[1][0]["slots"]
    plain = Plain(site.folder / "plain", engine.address(slots[0]["containers"]["fe"][0]))
    undo.callback(plain.stop)
    worker = edge_worker(site.data / "edge")
    join_groups(plain.process.pid, worker)
    ours, theirs = [], []
    for turn in range(options.rounds):
        for mine in (turn % 2 == 0, turn % 2 != 0):
            (ours if mine else theirs).append(load(port, worker) if mine
                                              else load(plain.port, plain.process.pid))
    rate, plain_rate = (statistics.median(each[0] for each in side) for side in (ours, theirs))
    cost, plain_cost = (statistics.median(each[1] for each in side) for side in (ours, theirs))
    report.add("Plain HAProxy's requests per second ÷ the edge's, pause gate installed",
               statistics.median(his[0] / mine[0] for mine, his in zip(ours, theirs)), "×", 1 / 0.9,
               f"{rate:.0f} against {plain_rate:.0f} per second; wrk, proxy and nginx share the cores")
    report.add("Processor time of the edge per request ÷ plain HAProxy's", cost / plain_cost, "×",
               None, f"{cost * 1e6:.0f} against {plain_cost * 1e6:.0f} µs")
