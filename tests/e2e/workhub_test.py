"""The example with five hubs: from `git push` to staging to production and back, by its three
scripts, while clients never stop asking."""
import json
import os
import re
import shutil
import subprocess
import urllib.request

import harness
import pytest
from prober import Prober
from wares import free_port

EXAMPLE = harness.ROOT / "examples/workhub"
HUBS = ("sales", "fin", "onboarding", "agent")


class Hub:
    """A server's checkout of the example, with a repository to push to."""

    def __init__(self, site, engine):
        self.site = site
        self.ports = {"stg": free_port(), "prd": free_port()}
        origin, self.folder = site.folder / "origin.git", site.folder / "workhub"
        shutil.copytree(EXAMPLE, site.folder / "work")
        self.work = harness.Repo(site.folder / "work")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
        self.work.git("remote", "add", "origin", str(origin))
        self.push({}, "first")
        subprocess.run(["git", "clone", "-q", str(origin), str(self.folder)], check=True)
        for name in ("common", "staging", "production"):
            example = self.folder / f"config/.env.{name}.example"
            shutil.copy(example, example.with_suffix(""))
        self.make_keys()
        keys = ", ".join(f"{name}: {{ file: {self.folder}/config/keys/jwt_{name}.pem, "
                         f"target: /app/keys/jwt_{name}.pem }}" for name in ("private", "public"))
        environments = {
            env: "approval: false, release: { watch: 0s, drain: 5s, "
                 f'listen: ["127.0.0.1:{self.ports[env]}"], '
                 f"env_files: [{self.folder}/config/.env.common, {self.folder}/config/.env.{name}], "
                 f"key_files: {{ {keys} }} }}"
            for env, name in (("stg", "staging"), ("prd", "production"))}
        site.write_config(environments, f"docker: {{ socket: {engine.socket}, min_free: 0 }}\n")

    def make_keys(self):
        """As the example's README says."""
        folder = self.folder / "config/keys"
        folder.mkdir()
        private, public = folder / "jwt_private.pem", folder / "jwt_public.pem"
        for command in (["genrsa", "-out", private, "2048"],
                        ["rsa", "-in", private, "-pubout", "-out", public]):
            subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
        private.chmod(0o600)
        for path in (private, public):
            shutil.chown(path, "seatrial")    # whom the daemon runs as

    def push(self, files, message):
        self.work.commit(files, message)
        self.work.git("push", "-q", "origin", "main")

    def run(self, script):
        """One of the three scripts, as a person on the server."""
        path = f"{harness.BIN.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run([str(self.folder / "scripts" / script)], env=self.site.env({"PATH": path}),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                              check=False)
        assert done.returncode == 0, f"{script}: {done.stdout}\n{done.stderr}\n{self.site.daemon_logs()}"
        return done.stdout

    def url(self, env, path=""):
        return f"http://127.0.0.1:{self.ports[env]}{path}"

    def get(self, env, path, headers=None):
        request = urllib.request.Request(self.url(env, path), headers=headers or {})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def hub(site, engine):
    engine.call("POST", "/images/local/node:1/tag?repo=node&tag=20-alpine")
    yield Hub(site, engine)
    engine.clear()


def test_from_push_to_production_and_back_by_three_commands(hub):
    hub.run("deploy-staging.sh")
    hub.run("promote-production.sh")
    assert hub.get("prd", "/")["url"] == "http://workhub.example"
    with urllib.request.urlopen(hub.url("prd", "/login"), timeout=10) as answer:
        session = answer.headers["set-cookie"].split(";")[0]
    assert hub.get("prd", "/fin/mine", {"cookie": session}) == {"user": "demo"}
    for name in HUBS:
        assert hub.get("prd", f"/{name}/healthz") == {"hub": name, "ok": True}
    probers = {env: Prober(hub.url(env), kinds=["new", "kept"], rate=25) for env in hub.ports}
    hub.push({"sales/server.js": (EXAMPLE / "sales/server.js").read_text().replace("won", "lost"),
              "package.json": (EXAMPLE / "package.json").read_text().replace("1.0.0", "1.1.0")},
             "second")
    hub.run("deploy-staging.sh")
    assert hub.get("stg", "/sales")["leads"][0]["state"] == "lost"
    assert hub.get("prd", "/sales")["leads"][0]["state"] == "won"
    promoted = hub.run("promote-production.sh")
    assert hub.get("prd", "/sales")["leads"][0]["state"] == "lost"
    back = hub.run("rollback-production.sh")
    assert hub.get("prd", "/sales")["leads"][0]["state"] == "won"
    for env, prober in probers.items():
        seen = prober.stop()
        assert seen["failed"] == [] and seen["new"]["good"] > 50, f"{env}: {seen}"
    # The receipts say so, too.
    for receipt in (promoted, back):
        requests, failed = re.search(r"receipt: (\d+) requests .* (\d+) failed", receipt).groups()
        assert int(requests) > 0 and failed == "0", receipt
    assert "1.1.0-" in promoted and "1.0.0-" in back
