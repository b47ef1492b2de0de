"""A Docker engine of the tests' own (tools/private_docker), spoken to beside the program."""
import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import harness

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "private_docker"


class Engine:
    def __init__(self, *options):
        self.folder = harness.temporary_folder("docker")
        self.process = subprocess.Popen(
            [sys.executable, str(TOOL), str(self.folder / "d"), *options], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.expect("ready")
        self.tell("image node")
        self.socket = self.folder / "d" / "s"
        self.open_socket()

    def open_socket(self):
        """The daemon is an ordinary user; on a real host it is in the engine's group."""
        os.chmod(self.socket, 0o666)

    def expect(self, text):
        line = self.process.stdout.readline().strip()
        assert line == text, line

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.expect("ok")

    def files(self, image, path):
        """The names of files below a folder of an image, sorted."""
        name = self.call("POST", "/containers/create", {"Image": image, "Cmd": ["x"]})["Id"]
        connection = harness.UnixConnection(self.socket, 30)
        connection.request("GET", f"/v1.41/containers/{name}/archive?path={path}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        with tarfile.open(fileobj=io.BytesIO(answer.read())) as tar:
            names = [each.name.partition("/")[2] for each in tar if each.isfile()]
        connection.close()
        self.call("DELETE", f"/containers/{name}")
        return sorted(names)

    def call(self, method, path, value=None):
        """`value` goes as JSON."""
        connection = harness.UnixConnection(self.socket, 30)
        body = None if value is None else json.dumps(value)
        connection.request(method, "/v1.41" + path, body,
                           {"content-type": "application/json"} if body else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status < 400, body
        return json.loads(body) if body[:1] in (b"{", b"[") else None

    def census(self):
        """What carries our label, whoever's; without ids, so that equal states look equal."""
        mark = "?filters=" + '{"label":["seatrial.instance"]}'.replace('"', "%22") + "&all=1"
        images = [name for image in self.call("GET", "/images/json" + mark)
                  for name in image["RepoTags"] or ["untagged"]]
        return {
            "containers": sorted(each["Names"][0] for each in
                                 self.call("GET", "/containers/json" + mark)),
            "networks": sorted(each["Name"] for each in self.call("GET", "/networks" + mark)),
            "volumes": sorted(each["Name"] for each in
                              self.call("GET", "/volumes" + mark)["Volumes"] or []),
            "images": sorted(images)}

    def images(self):
        """Those with a name: the others are layers of these."""
        return [name for name in self.census()["images"] if not name.startswith("<none>")]

    def unnamed_images(self):
        """Those that are no layers of others, either: nobody can tell what they are for."""
        return [image["Id"] for image in self.call("GET", "/images/json")
                if not image["RepoTags"] or "<none>:<none>" in image["RepoTags"]]

    def tags(self):
        """{"repository:tag": id}"""
        return {name: image["Id"] for image in self.call("GET", "/images/json")
                for name in image["RepoTags"] or []}

    def inspect(self, name):
        return self.call("GET", f"/containers/{name}/json")

    def pid(self, name):
        """Of a container's first process; 0 when it does not run."""
        with contextlib.suppress(AssertionError):
            return self.inspect(name)["State"]["Pid"]
        return 0

    def address(self, name):
        """Of a container, in its network."""
        networks = self.inspect(name)["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))["IPAddress"]

    def clear(self):
        """What a test that failed left, as a stopped daemon leaves its containers running."""
        found = self.census()
        for path in [f"/containers{name}?force=1" for name in found["containers"]] + \
                [f"/networks/{name}" for name in found["networks"]] + \
                [f"/volumes/{name}?force=1" for name in found["volumes"]] + \
                [f"/images/{name}?force=1" for name in self.images()]:
            with contextlib.suppress(AssertionError):    # gone, or a daemon made another one
                self.call("DELETE", path)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
