"""What the components of a release share and what they do not: names, addresses, folders."""
import json
import subprocess
import urllib.request

import harness
import pytest
from wares import free_port

SERVER = """\
const fs = require('fs');
const http = require('http');
const port = Number(process.argv[2]);
http.createServer(async (request, response) => {
  const said = fs.readFileSync('/text.txt', 'utf8').trim() + ' ' + process.env.WHERE;
  if (request.method === 'POST') {
    fs.appendFileSync('/data/notes', said + '\\n');
  }
  if (request.url === '/notes') {
    response.end(fs.readFileSync('/data/notes', 'utf8'));
  } else if (request.url === '/asks') {
    response.end(await (await fetch(process.env.API_URL + '/says')).text());
  } else if (request.url === '/variables') {
    response.end(JSON.stringify(process.env));
  } else {
    response.end(said);
  }
}).listen(port);
process.on('SIGTERM', () => process.exit(0));
"""

DOCKERFILE = """\
FROM local/node:1
COPY server.js text.txt /
CMD ["node", "/server.js", "%s"]
"""

APP = """\
app: parts
components:
  web:
    run: node server.js
    build: { file: Dockerfile.web }
    port: WEB_PORT
    health: /
    env: { API: "${API_URL}/v1", LEVEL: debug, PLACE: "${WHERE}" }
  api:
    run: node server.js
    build: { file: Dockerfile.api }
    port: API_PORT
    container_port: 3000
    health: /
    path: /notes
    volumes: { notes: /data }
"""


class Parts:
    def __init__(self, site, engine):
        self.site, self.engine = site, engine
        self.ports = {"stg": free_port(), "prd": free_port()}
        self.configure()
        self.repo = harness.TinyRepo(site.folder / "parts", "parts")
        self.change("one", {"seatrial.yaml": APP, "server.js": SERVER,
                            "Dockerfile.web": DOCKERFILE % "8080", "Dockerfile.api": DOCKERFILE % "3000"})

    def configure(self, more=""):
        release = {env: f'{{ listen: ["127.0.0.1:{port}"], watch: 0s, drain: 1s, {more} }}'
                   for env, port in self.ports.items()}
        self.site.write_config({env: f"approval: false, env: {{ WHERE: {env} }}, release: {each}"
                                for env, each in release.items()},
                               f"docker: {{ socket: {self.engine.socket}, min_free: 0 }}\n")

    def change(self, text, more=None):
        self.repo.commit({"text.txt": text + "\n", **(more or {})})

    def run(self, *arguments, ok=True):
        return self.site.seatrial(*arguments, cwd=self.repo.folder, ok=ok)

    def get(self, env, path, data=None):
        url = f"http://127.0.0.1:{self.ports[env]}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture
def parts(site, engine):
    parts = Parts(site, engine)
    yield parts
    engine.clear()


def asked(parts, env):
    return {parts.get(env, "/asks") for _ in range(20)}


def test_components_find_those_of_their_own_release_and_no_others(parts):
    parts.run("deploy", "stg", "--wait")
    parts.run("promote", "--wait", "--allow-differences")
    parts.change("two")
    parts.run("deploy", "stg", "--wait")    # the first one stays warm beside it
    assert asked(parts, "stg") == {"two stg"} and asked(parts, "prd") == {"one prd"}
    parts.run("rollback", "stg", "--wait")
    assert asked(parts, "stg") == {"one stg"}


def test_a_components_own_variables_are_given_where_nobody_else_gives_them(parts):
    parts.run("deploy", "stg", "--wait")
    seen = json.loads(parts.get("stg", "/variables"))
    assert seen["API"] == "http://api:3000/v1" and seen["PLACE"] == "stg"
    assert seen["API_PORT"] == "3000" and seen["WEB_PORT"] == seen["PORT"] == "8080"
    assert seen["LEVEL"] == "debug"
    # What a template names must be there before anything moves.
    parts.change("two", {"seatrial.yaml": APP.replace("${WHERE}", "${PREVIEW_URL}")})
    refused = parts.run("deploy", "stg", ok=False)
    assert refused.code == 2, refused
    assert "components.web.env.PLACE" in refused.err and "PREVIEW_URL" in refused.err
    assert parts.get("stg", "/") == "one stg"


def test_a_volume_outlives_its_releases_and_is_of_one_environment(parts, engine):
    parts.run("deploy", "stg", "--wait")
    parts.run("promote", "--wait", "--allow-differences")
    parts.get("stg", "/notes", b"x")
    parts.get("prd", "/notes", b"x")
    for text in ("two", "three"):
        parts.change(text)
        parts.run("deploy", "stg", "--wait")
        parts.get("stg", "/notes", b"x")
    assert parts.get("stg", "/notes") == "one stg\ntwo stg\nthree stg\n"
    assert parts.get("prd", "/notes") == "one prd\n"
    # Nobody takes it for something left over.
    assert parts.run("cleanup", "--json").code == 0
    assert parts.get("stg", "/notes") == "one stg\ntwo stg\nthree stg\n"


def test_volumes_and_networks_of_others(parts, engine, tmp_path):
    def docker(*argv):
        return subprocess.run(["docker", "-H", f"unix://{engine.socket}", *argv], check=True,
                              capture_output=True, text=True).stdout.strip()
    docker("network", "create", "shop_default")
    docker("volume", "create", "shop_notes")
    try:
        parts.configure("volumes: { notes: shop_notes }, networks: [shop_default]")
        parts.run("deploy", "stg", "--wait")
        parts.get("stg", "/notes", b"x")
        names = docker("network", "inspect", "shop_default", "-f",
                       "{{range .Containers}}{{.Name}} {{end}}").split()
        assert len(names) == 2, names
        assert "shop_notes" in docker("inspect", names[0], names[1], "-f",
                                      "{{range .Mounts}}{{.Name}}{{end}}")
    finally:
        harness.stop_pid(int((parts.site.data / "daemon.pid").read_text()))
        engine.clear()
        docker("network", "rm", "shop_default")
        docker("volume", "rm", "shop_notes")


def test_a_volume_that_is_not_there_is_not_made_up(parts, engine):
    parts.configure("volumes: { notes: shop_other }")
    failed = parts.run("deploy", "stg", ok=False)
    assert failed.code == 1 and "there is no volume 'shop_other'" in failed.err, failed
    assert "docker volume create" in failed.err
