"""What a request through the edge costs beside a plain HAProxy with the same routes and beside
kamal-proxy, in front of the same containers. Rounds take turns; with every core busy the share of each
is what counts."""
import pathlib
import re
import shutil
import statistics
import subprocess

import harness
import procs
import proxies
from wares import free_port

SECONDS, CONNECTIONS = 4, 32
APP = """\
app: pages
components:
  fe: { run: npx vite, port: FE_PORT, static: { folder: fe, server: "local/nginx:1" } }
release: { checks: [/] }
"""


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


def wrk(url):
    """Requests per second, and how many there were."""
    said = subprocess.run(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", url],
                          check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)),
            int(re.search(r"(\d+) requests in", said).group(1)))


def load(port, pid):
    """Requests per second, and the proxy's seconds of processor per request."""
    before = procs.cpu_seconds([pid])
    rate, count = wrk(f"http://127.0.0.1:{port}/")
    return rate, (procs.cpu_seconds([pid]) - before) / count


def measure(options, report, engine, undo):
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
    server = engine.address(slots[0]["containers"]["fe"][0])
    ours = (port, edge_worker(site.data / "edge"))
    plain = proxies.Plain(site.folder / "plain", server)
    undo.callback(plain.stop)
    rates, costs = compete(options.rounds, ours, plain)
    report.add("Plain HAProxy's requests per second ÷ the edge's, pause gate installed",
               statistics.median(his / mine for mine, his in rates), "×", 1 / 0.9, against(rates))
    report.add("Processor time of the edge per request ÷ plain HAProxy's",
               statistics.median(mine / his for mine, his in costs), "×", None,
               against([(mine * 1e6, his * 1e6) for mine, his in costs], "µs"))
    if not shutil.which("kamal-proxy"):
        print("kamal-proxy is not there: its throughput is not measured")
        return
    kamal = proxies.Kamal(site.folder / "kamal", "/")
    undo.callback(kamal.stop)
    kamal.point_to(server)
    rates, _ = compete(options.rounds, ours, kamal)
    report.add("kamal-proxy's requests per second ÷ the edge's",
               statistics.median(his / mine for mine, his in rates), "×", 1, against(rates))


def compete(rounds, ours, peer):
    """(ours, the peer's) of each round: requests per second, and seconds of processor."""
    join_groups(peer.process.pid, ours[1])
    rates, costs = [], []
    for turn in range(rounds):
        sides = (ours, (peer.port, peer.process.pid))
        seen = [load(*side) for side in (sides if turn % 2 == 0 else reversed(sides))]
        mine, his = seen if turn % 2 == 0 else reversed(seen)
        rates.append((mine[0], his[0]))
        costs.append((mine[1], his[1]))
    return rates, costs


def against(pairs, unit="per second"):
    mine, his = (statistics.median(column) for column in zip(*pairs))
    return f"{mine:.0f} against {his:.0f} {unit}; wrk, proxy and nginx share the cores"
