"""A Compose project with its nginx.conf, taken over by `seatrial init` and released as it stands."""
import json
import urllib.request

import harness
import pytest
from wares import free_port

HUB = """\
const http = require('http');
const fs = require('fs');
http.createServer(async (request, response) => {
  if (request.url.endsWith('/peer')) {
    response.end(await (await fetch(process.env.PEER)).text());
  } else if (request.url.endsWith('/key')) {
    response.end(fs.readFileSync('/app/keys/public.pem'));
  } else {
    response.end(JSON.stringify({ name: process.env.NAME, level: process.env.LEVEL,
                                  common: process.env.COMMON }));
  }
}).listen(Number(process.argv[2]));
process.on('SIGTERM', () => process.exit(0));
"""

DOCKERFILE = 'FROM local/node:1\nCOPY hub.js /\nEXPOSE %d\nCMD ["node", "/hub.js", "%d"]\n'

COMPOSE = """\
x-hub: &hub
  restart: unless-stopped
  volumes: ["./config/keys:/app/keys:ro"]
services:
  manager-staging:
    <<: *hub
    profiles: [staging]
    build: ./manager
    env_file: [./config/.env.common, ./config/.env.staging]
    environment: {{ NAME: manager, PEER: "http://sales-staging:4010/saleshub/" }}
  manager-prod:
    <<: *hub
    profiles: [production]
    image: manager:production
    env_file: [./config/.env.common, ./config/.env.production]
    environment: {{ NAME: manager, PEER: "http://sales-prod:4010/saleshub/" }}
  sales-staging:
    <<: *hub
    profiles: [staging]
    build: ./sales
    env_file: [./config/.env.common, ./config/.env.staging]
  sales-prod:
    <<: *hub
    profiles: [production]
    build: ./sales
    env_file: [./config/.env.common, ./config/.env.production]
  nginx:
    image: nginx:1.25
    ports: ["127.0.0.1:{stg}:8080", "127.0.0.1:{prd}:8081"]
    volumes: ["./nginx/nginx.conf:/etc/nginx/nginx.conf:ro"]
"""

NGINX = """\
events {}
http {
  upstream sales { server sales-staging:4010; }
  server {
    listen 8080;
    location / { proxy_pass http://manager-staging:4090; }
    location /saleshub/ { proxy_pass http://sales; proxy_set_header Host $host; }
  }
  server {
    listen 8081;
    location / { proxy_pass http://manager-prod:4090; }
    location /saleshub/ { proxy_pass http://sales-prod:4010; }
  }
}
"""


@pytest.fixture
def hub(site, engine):
    site.ports = {"stg": free_port(), "prd": free_port()}
    repo = harness.Repo(site.folder / "hub")
    repo.commit({"docker-compose.yml": COMPOSE.format(**site.ports), "nginx/nginx.conf": NGINX,
                 "manager/hub.js": HUB, "manager/Dockerfile": DOCKERFILE % (4090, 4090),
                 "sales/hub.js": HUB, "sales/Dockerfile": DOCKERFILE % (4010, 4010),
                 ".gitignore": "config/\nseatrial-server.yaml\n"})
    config = repo.folder / "config"
    (config / "keys").mkdir(parents=True)
    (config / "keys/public.pem").write_text("a public key\n")
    (config / ".env.common").write_text("COMMON=both\n")
    (config / ".env.staging").write_text("LEVEL=debug\n")
    (config / ".env.production").write_text("LEVEL=info\n")
    for file in config.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    yield repo
    engine.clear()


def get(site, env, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{site.ports[env]}{path}", timeout=10) as answer:
        return answer.read().decode()


def test_a_compose_project_becomes_staging_and_production(site, engine, hub):
    made = site.seatrial("init", "--json", cwd=hub.folder, ok=True).json
    assert made["files"] == ["seatrial.yaml", "seatrial-server.yaml"]
    assert not [each for each in made["questions"] if "not carried over" in each], made
    again = site.seatrial("init", cwd=hub.folder)
    assert again.code == 3 and "--force" in again.err
    server = (hub.folder / "seatrial-server.yaml").read_text()
    site.write_config({}, f"docker: {{ socket: {engine.socket}, min_free: 0 }}\n")
    site.config.write_text(site.config.read_text().replace(
        "environments:\n", server.replace("release:", "approval: false\n    release:"), 1))
    assert site.seatrial("check", cwd=hub.folder).code == 0
    hub.git("add", "seatrial.yaml")
    hub.git("commit", "-qm", "taken over")

    site.seatrial("deploy", "stg", cwd=hub.folder, ok=True)
    # LEVEL is another in each env file, as it was; nothing in the files says that it may be.
    site.seatrial("promote", "--allow-differences", cwd=hub.folder, ok=True)
    for env, level in (("stg", "debug"), ("prd", "info")):
        assert json.loads(get(site, env, "/")) == {"name": "manager", "level": level,
                                                   "common": "both"}
        sales = {"level": level, "common": "both"}
        assert json.loads(get(site, env, "/saleshub/")) == sales
        assert json.loads(get(site, env, "/peer")) == sales
        assert get(site, env, "/saleshub/key") == "a public key\n"
