"""The app of the release tests with its repository, and the environments stg and prd of a site."""
import os
import pathlib
import pwd
import socket
import ssl
import subprocess
import urllib.request

import harness

SERVED = pathlib.Path(__file__).resolve().parents[1] / "support/served.js"

DOCKERFILE = """\
FROM local/node:1
COPY text.txt mode.txt served.js /
CMD ["node", "/served.js"]
"""

APP_YAML = """\
app: wares
components:
  web: { run: node served.js, build: ., port: WEB_PORT, health: /healthz }
release: { checks: [/] }
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Wares:
    def __init__(self, site, engine, release="watch: 0s, drain: 5s", tls=""):
        """`tls`: the environment that speaks TLS, by a certificate of its own."""
        self.site, self.engine, self.tls, self.trust = site, engine, tls, None
        common = site.folder / ".env.common"
        common.write_text("WHERE=here\n")
        common.chmod(0o644)
        self.release = f"{release}, env_files: [{common}]"
        self.ports = {"stg": free_port(), "prd": free_port()}
        self.certificate = self.make_certificate() if tls else ""
        self.configure()
        self.repo = harness.TinyRepo(site.folder / "wares", "wares")
        self.texts = 0
        self.repo.commit({"seatrial.yaml": APP_YAML, "Dockerfile": DOCKERFILE, "mode.txt": "good\n",
                          "served.js": SERVED.read_text(),
                          "package.json": '{"name": "wares", "version": "1.4.0"}\n'})

    def make_certificate(self):
        """A PEM file with key that the daemon can read; clients here trust it."""
        key, alone, both = (self.site.folder / f"{name}.pem" for name in ("key", "crt", "both"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=wares.example", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", alone], check=True, capture_output=True)
        both.write_text(alone.read_text() + key.read_text())
        os.chown(both, *self.owner())
        both.chmod(0o600)
        self.trust = ssl.create_default_context(cafile=alone)
        return both

    def owner(self):
        """Who the daemon runs as."""
        try:
            user = pwd.getpwnam("seatrial")
            return user.pw_uid, user.pw_gid
        except KeyError:
            return os.geteuid(), os.getegid()

    def configure(self, approval="false"):
        """`approval`: of production."""
        secure = {self.tls: f", certificate: {self.certificate}"}
        listen = {env: f'release: {{ listen: ["127.0.0.1:{port}"], {self.release}'
                       f'{secure.get(env, "")} }}'
                  for env, port in self.ports.items()}
        self.site.write_config({"stg": "approval: false, " + listen["stg"], "prd": f"approval: {approval}, " + listen["prd"]},
                               f"docker: {{ socket: {self.engine.socket}, min_free: 0 }}\n")

    def change(self, text, mode="good"):
        """A commit that serves this text."""
        return self.repo.commit({"text.txt": text + "\n", "mode.txt": mode + "\n"})

    def run(self, *arguments, ok=True):
        return self.site.seatrial(*arguments, cwd=self.repo.folder, ok=ok)

    def start(self, *arguments):
        return self.site.start(*arguments, cwd=self.repo.folder)

    def build(self, mode="good"):
        """A release with a text of its own: (id, what it answers)."""
        self.texts += 1
        self.change(f"text {self.texts}", mode)
        return self.run("build", "--json").json["id"], f"text {self.texts} here"

    def text(self, env):
        """What users get."""
        with urllib.request.urlopen(self.url(env), timeout=10, context=self.trust) as answer:
            return answer.read().decode()

    def url(self, env):
        scheme = "https" if env == self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.ports[env]}"

    def deployment(self, env):
        """None when nothing is deployed, or no daemon answers."""
        answer = self.site.get(f"/api/v1/deployments?app=wares&env={env}")
        return answer[1][0] if answer and answer[1] else None

    def ask_edge(self, command):
        """HAProxy's answer at its admin socket."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.site.data / "edge/admin.sock"))
            admin.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    def edge_worker(self):
        """The process id of HAProxy's worker, from itself."""
        return next(int(line.split(":")[1]) for line in self.ask_edge("show info").splitlines()
                    if line.startswith("Pid:"))
