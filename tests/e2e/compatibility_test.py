"""Components of two releases that cannot live side by side: refused before anything moves."""
import pytest
from wares import APP_YAML, Wares

RULES = "release: { checks: [/], compatibility: { worker: { web: '>=1.2 <2' } } }\n"
YAML = APP_YAML[:APP_YAML.index("release:")] + \
    "  worker: { run: node worker.js, build: worker }\n" + RULES


@pytest.fixture
def wares(site, engine):
    wares = Wares(site, engine, "watch: 0s, drain: 1s")
    wares.repo.commit({
        "seatrial.yaml": YAML, "worker/package.json": '{"version": "1.0.0"}\n',
        "worker/Dockerfile": "FROM local/node:1\nCMD [\"node\", \"-e\", \"setInterval(() => {}, 1e6)\"]\n"})
    yield wares
    engine.clear()


def version(wares, web, worker="1.0.0"):
    wares.repo.commit({"package.json": f'{{"version": "{web}"}}\n',
                       "worker/package.json": f'{{"version": "{worker}"}}\n'})


def test_a_release_that_cannot_live_beside_what_serves(wares):
    wares.site.serve().wait_ready()
    wares.change("first")
    version(wares, "1.4.0")
    wares.run("deploy", "stg", "--wait")
    first = wares.deployment("stg")["serving"]
    listed = wares.run("releases", "--json").json[0]
    assert listed["components"]["web"]["version"] == "1.4.0"
    assert listed["components"]["worker"]["version"] == "1.0.0"
    assert listed["compatibility"] == {"worker": {"web": ">=1.2 <2"}}
    assert "worker 1.0.0, worker works with web >=1.2 <2" in wares.run("releases").out

    # A release in itself: found before anything is built.
    version(wares, "2.0.0")
    refused = wares.run("build", ok=False)
    assert refused.code == 2, refused
    assert "worker 1.0.0 works with web >=1.2 <2, not with web 2.0.0" in refused.err

    # Its own rules fit; the worker that still serves does not.
    wider = YAML.replace(">=1.2 <2", ">=1.2 <3")
    wares.repo.commit({"seatrial.yaml": wider.replace(">=1.2", ">=2")})
    wares.change("second")
    version(wares, "2.0.0", "2.0.0")
    before = wares.deployment("stg")
    second = wares.run("build", "--json").json
    refused = wares.run("deploy", "stg", "--release", second["id"], ok=False)
    assert refused.code == 3, refused
    assert f"worker 1.0.0 of {first} works with web >=1.2 <2, not with web 2.0.0 of {second['tag']}" \
        in refused.err
    assert f"worker 2.0.0 of {second['tag']} works with web >=2 <3, not with web 1.4.0 of {first}" \
        in refused.err
    assert "first deploy a release whose components work with both" in refused.err
    assert wares.deployment("stg") == before
    assert wares.text("stg") == "first here"

    # Elsewhere nothing serves that it would meet; there is no way back to what does not fit.
    wares.run("deploy", "prd", "--release", second["id"], "--wait")
    refused = wares.run("promote", ok=False)
    assert refused.code == 3 and "cannot run beside what serves in prd" in refused.err, refused

    # By a release that works with both.
    wares.repo.commit({"seatrial.yaml": wider})
    wares.change("between")
    version(wares, "1.9.0", "1.9.0")
    wares.run("deploy", "stg", "--wait")
    wares.change("third")
    version(wares, "2.0.0", "2.0.0")
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == "third here"
    refused = wares.run("rollback", "stg", "--to", first, ok=False)
    assert refused.code == 3 and "not with web 2.0.0" in refused.err, refused
    wares.run("rollback", "stg", "--wait")
    assert wares.text("stg") == "between here"
