"""The app of the release tests with its repository, and the environments stg and prd of a site."""
import pathlib
import socket
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
    def __init__(self, site, engine, release="watch: 0s, drain: 5s"):
        self.site, self.engine = site, engine
        common = site.folder / ".env.common"
        common.write_text("WHERE=here\n")
        common.chmod(0o644)
        self.release = f"{release}, env_files: [{common}]"
        self.ports = {"stg": free_port(), "prd": free_port()}
        self.configure()
        self.repo = harness.TinyRepo(site.folder / "wares", "wares")
        self.texts = 0
        self.repo.commit({"seatrial.yaml": APP_YAML, "Dockerfile": DOCKERFILE, "mode.txt": "good\n",
                          "served.js": SERVED.read_text(),
                          "package.json": '{"name": "wares", "version": "1.4.0"}\n'})

    def configure(self, approval="false"):
        """`approval`: of production."""
        listen = {env: f'release: {{ listen: ["127.0.0.1:{port}"], {self.release} }}'
                  for env, port in self.ports.items()}
        self.site.write_config({"stg": listen["stg"], "prd": f"approval: {approval}, " + listen["prd"]},
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
        with urllib.request.urlopen(self.url(env), timeout=10) as answer:
            return answer.read().decode()

    def url(self, env):
        return f"http://127.0.0.1:{self.ports[env]}"

    def deployment(self, env):
        """None when nothing is deployed, or no daemon answers."""
        answer = self.site.get(f"/api/v1/deployments?app=wares&env={env}")
        return answer[1][0] if answer and answer[1] else None

    def edge_worker(self):
        """The process id of HAProxy's worker, from itself."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.site.data / "edge/admin.sock"))
            admin.sendall(b"show info\n")
            said = b"".join(iter(lambda: admin.recv(65536), b""))
        return next(int(line.split(b":")[1]) for line in said.splitlines()
                    if line.startswith(b"Pid:"))
