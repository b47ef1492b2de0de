"""The census of releases must see what differs: each kind with a thing made by hand."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from release_census import Census  # noqa: E402
from wares import APP_YAML, Wares  # noqa: E402


@pytest.fixture
def wares(site, engine):
    wares = Wares(site, engine, "watch: 0s, drain: 1s", tls="stg")
    yield wares
    engine.clear()


def test_what_no_record_knows_is_seen(wares, engine):
    wares.repo.commit({"seatrial.yaml": APP_YAML.replace(
        "health: /healthz", "health: /healthz, volumes: { notes: /notes }")})
    for _ in range(2):
        wares.build()
        wares.run("deploy", "stg", "--wait")
    wares.run("promote", "--wait")
    census = Census(wares)
    assert census.differences() == []

    serving = next(slot for slot in wares.deployment("stg")["slots"] if slot["phase"] == "serving")
    container = engine.inspect(serving["containers"]["web"][0])
    marked = {"Labels": {name: value for name, value in container["Config"]["Labels"].items()
                         if name == "seatrial.instance"}}
    stable, probes = (census.folder / f"{name}.map"
                      for name in ("stable", "probe-" + census.site_name("stg")))
    server = f"{census.site_name('prd')}.c.web/r1"
    # What is made, what undoes it, and what is told.
    for make, undo, told in [
            (lambda: engine.call("POST", "/containers/create?name=stray",
                                 {"Image": container["Image"], **marked}),
             lambda: engine.call("DELETE", "/containers/stray"), "containers: "),
            (lambda: engine.call("POST", "/networks/create", {"Name": "stray", **marked}),
             lambda: engine.call("DELETE", "/networks/stray"), "networks: "),
            (lambda: engine.call("POST", "/volumes/create", {"Name": "stray", **marked}),
             lambda: engine.call("DELETE", "/volumes/stray"), "volumes: "),
            (lambda: engine.call("POST", f"/images/{container['Image']}/tag?repo=wares-web&tag=x"),
             lambda: engine.call("DELETE", "/images/wares-web:x"), "tags: "),
            (lambda: wares.ask_edge(f"add map {stable} gone-app a"),
             lambda: wares.ask_edge(f"del map {stable} gone-app"), "maps: "),
            (lambda: wares.ask_edge(f"add map {probes} value c"),
             lambda: wares.ask_edge(f"del map {probes} value"), "maps: "),
            (lambda: probes.write_text(probes.read_text() + "value c\n"),
             lambda: probes.write_text(probes.read_text().replace("value c\n", "")), "map files: "),
            (lambda: (census.folder / "stray.map").touch(),
             lambda: (census.folder / "stray.map").unlink(), "map files: "),
            (lambda: wares.ask_edge(f"set server {server} state ready"),
             lambda: wares.ask_edge(f"set server {server} state maint"), "servers: ")]:
        make()
        lines = census.differences()
        undo()
        assert [line for line in lines if line.startswith(told)], (told, lines)
        assert census.differences() == [], told
