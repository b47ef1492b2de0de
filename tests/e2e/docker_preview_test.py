"""Previews with provider `docker`, against a real engine: the same seatrial.yaml as with processes,
from a branch to containers and back to nothing."""
import contextlib
import os
import shutil
import urllib.error
import urllib.request

import harness
import pytest

KEY = "SHOP-7"

APP_JS = """\
const http = require('http');
const fs = require('fs');
const name = process.argv[2];
console.log('listening on ' + process.env.PORT);
http.createServer((q, r) => {
  if (q.url === '/die') { process.exit(3); }
  if (q.url === '/api') {
    http.get(process.env.API_INTERNAL_URL, (a) => a.pipe(r)).on('error', (e) => r.end(String(e)));
    return;
  }
  r.end(JSON.stringify({ text: fs.readFileSync(__dirname + '/text.txt', 'utf8').trim(), name,
                         status: fs.readFileSync('/proc/self/status', 'utf8'),
                         env: process.env }));
}).listen(process.env.PORT, '0.0.0.0');
process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
"""

# Signs in as the preview's role (SCRAM-SHA-256) and asks one question.
MIGRATE_JS = """\
const net = require('net'), crypto = require('crypto');
const url = new URL(process.env.DATABASE_URL);
const socket = net.connect(Number(url.port), url.hostname);
const hmac = (k, t) => crypto.createHmac('sha256', k).update(t).digest();
const send = (type, body) => {
  const head = Buffer.alloc(type ? 5 : 4);
  if (type) head.write(type);
  head.writeInt32BE(body.length + 4, type ? 1 : 0);
  socket.write(Buffer.concat([head, body]));
};
const text = (...words) => Buffer.from(words.map((w) => w + '\\0').join(''));
const nonce = crypto.randomBytes(12).toString('base64');
const bare = 'n=,r=' + nonce;
let data = Buffer.alloc(0);
socket.on('connect', () => send('', Buffer.concat([Buffer.from([0, 3, 0, 0]),
  text('user', decodeURIComponent(url.username), 'database', url.pathname.slice(1)),
  Buffer.from([0])])));
socket.on('error', (e) => { console.error(String(e)); process.exit(1); });
function auth(kind, body) {
  if (kind === 10) {
    const first = Buffer.from('n,,' + bare), size = Buffer.alloc(4);
    size.writeInt32BE(first.length);
    send('p', Buffer.concat([text('SCRAM-SHA-256'), size, first]));
  } else if (kind === 11) {
    const said = body.toString(), parts = Object.fromEntries(
      said.split(',').map((p) => [p[0], p.slice(2)]));
    const salted = crypto.pbkdf2Sync(decodeURIComponent(url.password),
      Buffer.from(parts.s, 'base64'), Number(parts.i), 32, 'sha256');
    const key = hmac(salted, 'Client Key'), last = 'c=biws,r=' + parts.r;
    const sign = hmac(crypto.createHash('sha256').update(key).digest(),
      [bare, said, last].join(','));
    const proof = Buffer.from(key.map((b, i) => b ^ sign[i])).toString('base64');
    send('p', Buffer.from(last + ',p=' + proof));
  }
}
socket.on('data', (chunk) => {
  data = Buffer.concat([data, chunk]);
  while (data.length >= 5 && data.length > data.readInt32BE(1)) {
    const type = String.fromCharCode(data[0]), size = data.readInt32BE(1);
    const body = data.subarray(5, size + 1);
    data = data.subarray(size + 1);
    if (type === 'R') auth(body.readInt32BE(0), body.subarray(4));
    if (type === 'E') { console.error(body.toString()); process.exit(1); }
    if (type === 'D') {
      console.log('the database has ' + body.subarray(6).toString() + ' items');
      process.exit(0);
    }
    if (type === 'Z') send('Q', text('SELECT count(*) FROM item'));
  }
});
"""

DOCKERFILE = """\
FROM local/node:1
ARG PART
ENV PART=$PART
COPY text.txt app.js migrate.js /
CMD ["sh", "-c", "exec node /app.js $PART"]
"""

APP_YAML = """\
app: wares
components:
  web: { run: node app.js web, build: { args: { PART: web } }, port: WEB_PORT, health: / }
  api: { run: node app.js api, build: { args: { PART: api } }, port: API_PORT, health: / }
migrate: { run: [node, migrate.js], component: api }
database: { engine: postgres, template: tiny_dev }
"""


@pytest.fixture(scope="module")
def open_postgres():
    """A server that containers reach, as docs/guide/previews.md tells to set it up."""
    folder = harness.temporary_folder("dpg")
    server = harness.Postgres(folder / "pg")
    try:
        server.start()
        with open(server.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("listen_addresses = '*'\n")
        with open(server.data / "pg_hba.conf", "a", encoding="utf-8") as hba:
            hba.write("host all all 10.0.0.0/8 scram-sha-256\n")
        server.stop()
        server.start()
        server.make_database("tiny_dev", harness.TEMPLATE_SQL)
        yield server
    finally:
        server.stop(remove=True)
        shutil.rmtree(folder, ignore_errors=True)


class Wares:
    """The app's repository, and a site whose environment `int` runs containers."""

    def __init__(self, engine, postgres, yaml=APP_YAML):
        self.engine = engine
        self.site = harness.Site(harness.temporary_folder("site"), postgres)
        self.configure("docker")
        self.repo = harness.TinyRepo(self.site.folder / "wares", "wares")
        self.repo.commit({"seatrial.yaml": yaml, "app.js": APP_JS, "migrate.js": MIGRATE_JS,
                          "Dockerfile": DOCKERFILE, "app.py": None})

    def configure(self, provider):
        self.site.write_config(
            {"int": f"provider: {provider}, ttl: 24h, max: 5, "
                    "limits: { memory: 256MB, cpu: 150%, pids: 100 }"},
            f"docker: {{ socket: {self.engine.socket} }}\n")

    def run(self, *arguments, ok=True):
        return self.site.seatrial(*arguments, cwd=self.repo.folder, ok=ok, timeout=180)

    def up(self, *arguments, ok=True):
        return self.run("up", "--issue", KEY, *arguments, ok=ok)

    def shown(self):
        return self.site.show(KEY)

    def get(self, component, path="/"):
        return harness.get_json(harness.preview_url(self.shown(), component) + path)

    def container(self, component):
        mine = [name for name in self.engine.census()["containers"] if f"-{component}-" in name]
        assert len(mine) == 1, mine
        return mine[0].lstrip("/")


@pytest.fixture
def wares(engine, open_postgres):
    wares = Wares(engine, open_postgres)
    yield wares
    wares.site.close()
    engine.clear()


def test_a_branch_comes_up_in_containers_and_goes_without_a_trace(wares):
    before, world = wares.engine.census(), wares.site.census()
    wares.up()
    shown = wares.shown()
    assert shown["provider"] == "docker" and shown["state"] == "running"
    assert {each["state"] for each in shown["components"]} == {"running"}
    web = wares.get("web")
    assert web["text"] == "one" and web["name"] == "web"
    assert "NoNewPrivs:\t1" in web["status"]
    assert web["env"]["PREVIEW_ISSUE_KEY"] == KEY
    assert "host.docker.internal" in web["env"]["DATABASE_URL"]
    assert wares.get("web", "/api")["name"] == "api"    # by its name in the network
    container = wares.engine.inspect(wares.container("web"))
    host = container["HostConfig"]
    assert host["Memory"] == 256 << 20 and host["NanoCpus"] == 1_500_000_000
    assert host["PidsLimit"] == 100
    port = str(shown["ports"]["web"])
    assert host["PortBindings"] == {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
    logs = wares.run("logs", KEY).out
    assert f"listening on {port}" in logs and "the database has 100 items" in logs
    assert "wares" in wares.run("ls").out
    assert wares.run("explain", KEY).code == 0

    images = wares.engine.images()
    wares.repo.commit({"text.txt": "two\n"})
    wares.up()
    assert wares.get("web")["text"] == "two"
    now = wares.engine.images()
    assert len(now) == len(images) == 2 and not set(now) & set(images)

    receipt = wares.run("stop", KEY, "--json").json
    kinds = {each["type"] for each in receipt["receipt"]["resources"]}
    assert {"docker-container", "docker-task", "docker-network", "docker-image",
            "pg-database", "pg-role"} <= kinds
    assert wares.engine.census() == before
    assert wares.site.census()["roles"] == world["roles"]
    assert "bye" in wares.run("logs", KEY).out


def test_the_same_app_moves_from_processes_to_containers_and_back(wares):
    before, world = wares.engine.census(), wares.site.census()
    for provider, components in (("local", 0), ("docker", 2), ("local", 0)):
        wares.configure(provider)
        daemon = wares.site.serve()
        assert daemon.wait_ready()
        wares.up()
        assert wares.shown()["provider"] == provider
        assert wares.get("web", "/api")["name"] == "api"
        assert len(wares.engine.census()["containers"]) == components + components // 2
        daemon.terminate()
    assert wares.engine.census() == before
    assert wares.site.serve().wait_ready()
    wares.run("stop", KEY)
    after = wares.site.census()
    for kind in ("roles", "worktrees", "mounts", "ports"):
        assert after[kind] == world[kind]


def test_a_build_that_fails_leaves_the_running_one_alone(wares):
    wares.up()
    wares.repo.commit({"Dockerfile": DOCKERFILE + 'RUN ["node", "-e", "console.log(\'no such '
                                                  'thing\'); process.exit(3)"]\n'})
    failed = wares.up(ok=False)
    assert failed.code == 1 and "no such thing" in failed.err + failed.out
    assert wares.get("web")["text"] == "one"
    wares.run("stop", KEY)


def test_static_files_and_a_fixed_port_are_served_as_in_a_release(wares):
    wares.engine.tell("image nginx")
    before = wares.engine.census()
    wares.repo.commit({
        "seatrial.yaml": APP_YAML.replace("port: API_PORT", "port: API_PORT, container_port: 3000")
        .replace("migrate:", "  fe: { run: x, port: FE_PORT, static: { context: fe, folder: dist, "
                 'server: "local/nginx:1" } }\nmigrate:'),
        "fe/dist/index.html": "<h1>pages</h1>\n", "fe/dist/notes.txt": "mine\n",
        "fe/.dockerignore": "**/*.txt\n"})
    wares.up()
    fe = harness.preview_url(wares.shown(), "fe")
    with urllib.request.urlopen(fe + "/a/page/of/the/app", timeout=10) as answer:
        assert "pages" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(fe + "/notes.txt", timeout=10)
    assert wares.get("api")["env"]["PORT"] == "3000"
    assert wares.get("web", "/api")["name"] == "api"
    wares.run("stop", KEY)
    assert wares.engine.census() == before


def test_an_app_without_images_is_refused_with_the_remedy(wares):
    wares.repo.commit({"seatrial.yaml": APP_YAML.replace(
        "build: { args: { PART: api } }, ", "")})
    refused = wares.up(ok=False)
    assert refused.code != 0
    assert "components.api" in refused.err and "build: ." in refused.err


@pytest.mark.parametrize("point", [
    "docker-network.create.after", "docker-image.create.built", "docker-task.create.ended",
    "docker-container.create.created", "docker-container.create.started"])
def test_kill_9_in_the_middle_of_an_up(wares, point):
    before = wares.engine.census()
    daemon = wares.site.serve({"SEATRIAL_FAILPOINTS": point + "=kill"})
    assert daemon.wait_ready()
    wares.up("--no-wait")
    daemon.wait_end(90)
    assert wares.site.serve().wait_ready()
    harness.wait_for(lambda: wares.site.state(KEY) == "running", "the preview after a crash", 90)
    assert wares.get("web")["text"] == "one"
    wares.run("stop", KEY)
    assert wares.engine.census() == before


def test_containers_outlive_the_daemon_and_are_started_again_when_they_end(wares):
    before = wares.engine.census()
    daemon = wares.site.serve()
    assert daemon.wait_ready()
    wares.up()
    ids = {part: wares.engine.inspect(wares.container(part))["Id"] for part in ("web", "api")}
    daemon.kill()
    assert wares.site.serve().wait_ready()
    assert wares.get("web")["text"] == "one"
    with contextlib.suppress(OSError, ValueError):
        wares.get("web", "/die")

    def again():
        with contextlib.suppress(OSError, ValueError, AssertionError):
            return wares.get("web")["text"] == "one" and \
                wares.engine.inspect(wares.container("web"))["Id"] != ids["web"]
        return False
    harness.wait_for(again, "the component's return", 60)
    assert wares.engine.inspect(wares.container("api"))["Id"] == ids["api"]
    wares.run("stop", KEY)
    assert wares.engine.census() == before


def test_a_server_that_no_container_reaches_is_said(engine, postgres):
    wares = Wares(engine, postgres)
    try:
        failed = wares.up(ok=False)
        assert failed.code == 1
        text = failed.out + failed.err
        assert "where no container reaches it" in text and "listen_addresses" in text
        assert "listen_addresses" in wares.run("explain", KEY).out
        doctor = wares.run("doctor", ok=False).out
        assert "where no container reaches it" in doctor
    finally:
        wares.site.close()
        engine.clear()


def test_doctor_names_the_engine_and_what_is_wrong_with_it(wares):
    def engine_of():
        found = wares.run("doctor", "--json", ok=False).json["findings"]
        return next(each for each in found if each["what"] == "Docker engine")
    os.chmod(wares.engine.socket, 0o600)
    try:
        assert wares.site.serve().wait_ready()
        kept_out = engine_of()
        assert kept_out["state"] == "bad"
        assert "group docker" in kept_out["remedy"]
    finally:
        wares.engine.open_socket()
    assert engine_of()["state"] == "good", engine_of()


def test_an_engine_that_is_away_is_no_reason_to_give_up(wares):
    before = wares.engine.census()
    wares.up()
    wares.engine.tell("stop")
    swept = wares.run("cleanup", "--json", ok=False)
    assert "docker-container" in swept.out    # named as not listed, nothing removed
    assert wares.site.state(KEY) == "running"
    wares.engine.tell("start")
    wares.engine.open_socket()

    def again():
        with contextlib.suppress(OSError, ValueError, AssertionError):
            return wares.get("web")["text"] == "one"
        return False
    harness.wait_for(again, "the preview after the engine's restart", 90)
    wares.run("stop", KEY)
    assert wares.engine.census() == before
