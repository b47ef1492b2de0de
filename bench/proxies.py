"""The peers of the edge, each as its users run it, in front of one server at port 8080."""
import contextlib
import os
import signal
import subprocess
import urllib.error
import urllib.request

import harness
from wares import free_port

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream app {{ server {server}:8080; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
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


def answers(port, status=200):
    with contextlib.suppress(OSError):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).status == status
        except urllib.error.HTTPError as error:
            return error.code == status


class Nginx:
    """What people do by hand: the other address into the file, and a reload."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.folder.mkdir()

    def point_to(self, server):
        (self.folder / "nginx.conf").write_text(
            NGINX.format(folder=self.folder, port=self.port, server=server))
        if self.process is None:
            self.process = subprocess.Popen(["nginx", "-c", str(self.folder / "nginx.conf")],
                                            stdin=subprocess.DEVNULL)
            harness.wait_for((self.folder / "nginx.pid").exists, "nginx")
        else:
            self.process.send_signal(signal.SIGHUP)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)


class Kamal:
    """kamal-proxy, whose `deploy` asks the server for its health before it sends requests there."""

    def __init__(self, folder, health):
        self.port, self.health = free_port(), health
        folder.mkdir()
        # Where it keeps its routes and its socket.
        self.env = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder),
                    "XDG_RUNTIME_DIR": str(folder)}
        for _ in range(3):    # a free port may be taken before it listens
            self.process = subprocess.Popen(
                ["kamal-proxy", "run", "--http-port", str(self.port), "--https-port",
                 str(free_port())], env=self.env, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            harness.wait_for(lambda: answers(self.port, 404) or self.process.poll() is not None,
                             "kamal-proxy")
            if self.process.poll() is None:
                return
            self.port = free_port()
        raise AssertionError("kamal-proxy does not start")

    def point_to(self, server):
        subprocess.run(["kamal-proxy", "deploy", "app", "--target", f"{server}:8080",
                        "--health-check-path", self.health, "--drain-timeout", "1s"],
                       env=self.env, check=True, capture_output=True)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


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
        harness.wait_for(lambda: answers(self.port), "plain HAProxy")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
