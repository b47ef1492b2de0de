"""The count of what releases leave on a host, beside the records: containers, networks, volumes,
images and tags of the engine; maps and servers of the edge."""
import contextlib
import hashlib
import json
import sqlite3

# Types of the records → what the engine calls them.
OWNED = {"docker-container": "containers", "docker-network": "networks",
         "docker-volume": "volumes"}


class Census:
    """Of a site whose records hold deployments of `app` and nothing else."""

    def __init__(self, wares, app="wares"):
        self.wares, self.engine, self.app = wares, wares.engine, app
        self.folder = wares.site.data / "edge"

    def differences(self):
        """What is not as the records say, a line each; [] is what it shall be."""
        owned, deployments = self.read_records()
        lines = []
        for what, wanted, found in [*self.engine_parts(owned), *self.tags(deployments),
                                    *self.maps(deployments), *self.servers(deployments)]:
            if wanted != found:
                lines.append(f"{what}: {found}, not {wanted}")
        return lines

    def read_records(self):
        """({type: [name]}, {env: (spec, status)})"""
        path = self.wares.site.data / "seatrial.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as records:
            owned = {kind: sorted(name for name, in records.execute(
                "SELECT name FROM owned WHERE type = ?", [kind])) for kind in OWNED}
            rows = records.execute("SELECT env, spec, status FROM life "
                                   "WHERE kind = 'deployment' AND state <> 'removed'")
            return owned, {env: (json.loads(spec), json.loads(status))
                           for env, spec, status in rows}

    def engine_parts(self, owned):
        found = self.engine.census()
        for kind, name in OWNED.items():
            yield name, owned[kind], [each.removeprefix("/") for each in found[name]]

    def tags(self, deployments):
        """Every name is that of a release or a pointer, and pointers point right."""
        wanted = {}
        for env, (spec, status) in deployments.items():
            serving = status["contents"][status["state"]["stable"]]
            for name, content in ((env, serving), (env + "-rollback", spec["previous"])):
                for part in content["components"] if content["release"] else []:
                    wanted[f"{self.app}-{part['name']}:{name}"] = part["image"]
        tags = {name: image for name, image in self.engine.tags().items()
                if name.startswith(self.app + "-")}
        releases = self.wares.site.get(f"/api/v1/releases?app={self.app}")[1]
        released = {part["name"] for release in releases for part in release["components"].values()}
        yield "tags", wanted, {name: image for name, image in tags.items()
                               if name not in released}
        kept = {part["image"] for _, status in deployments.values()
                for content in status["contents"].values() for part in content["components"]}
        yield "images that slots need and that are gone", set(), kept - set(tags.values())
        yield "images without a name", [], self.engine.unnamed_images()

    def site_name(self, env):
        mark = hashlib.sha256(f"{self.app}\n{env}".encode()).hexdigest()[:6]
        return f"{self.app}-{env}-{mark}"

    def maps(self, deployments):
        """{file: {key: value}} of the worker and of the disk."""
        wanted = {"stable": {}, "candidate": {}, "share": {}, "pause": {}, "hosted": {}}
        for env, (_, status) in deployments.items():
            site = self.site_name(env)
            wanted["stable"][site] = status["state"]["stable"]
            wanted["probe-" + site] = {value: slot for slot, value in status["probes"].items()}
            wanted["allow-" + site] = {}
            wanted["routes-" + site], wanted["hosts-" + site] = {"/": "web"}, {}
            yield f"probes of {env}", set(), set(status["probes"]) - set(status["state"]["slots"])
        files = {path.stem: path for path in self.folder.glob("*.map")}
        yield "map files", wanted, {name: rows(path.read_text().splitlines())
                                    for name, path in files.items()}
        yield "maps", wanted, {name: rows(
            line.split(" ", 1)[1] for line in self.wares.ask_edge(f"show map {path}").splitlines()
            if line) for name, path in files.items()}

    def servers(self, deployments):
        """{"site.slot.component": addresses that the edge may ask}"""
        wanted = {}
        for env, (_, status) in deployments.items():
            for slot, parts in status["instances"].items():
                for component, instances in parts.items():
                    wanted[f"{self.site_name(env)}.{slot}.{component}"] = sorted(
                        f"{each['address']}:{each['port']}" for each in instances)
        head, *lines = self.wares.ask_edge("show servers state").splitlines()[1:]
        columns = head.removeprefix("# ").split()
        found = {}
        for line in filter(None, lines):
            row = dict(zip(columns, line.split(), strict=False))
            if row["be_name"] == "loop" or int(row["srv_admin_state"]) & 1:
                continue    # the edge's own, or in maintenance
            found.setdefault(row["be_name"], []).append(f"{row['srv_addr']}:{row['srv_port']}")
        yield "servers", wanted, {name: sorted(each) for name, each in found.items()}


def rows(lines):
    """Of "key value"."""
    return dict(line.split(" ", 1) for line in lines)
