"""Builds of releases: by BuildKit and by the engine's classic builder, seen while they go on."""
import json

import harness
import pytest
from release_test import APP_YAML, DOCKERFILE, Wares

NEEDS_BUILDKIT = DOCKERFILE + 'RUN --mount=type=cache,target=/c ["node", "-e", "0"]\n'


def wares_with(site, engine, docker=""):
    """`docker`: more of the server's keys of that name."""
    wares = Wares(site, engine)
    text = site.config.read_text()
    assert "min_free: 0 }" in text
    site.config.write_text(text.replace("min_free: 0 }", f"min_free: 0{docker} }}"))
    return wares


@pytest.fixture(params=["buildkit", "classic"])
def both(site, engine, request):
    wares = wares_with(site, engine, f", builder: {request.param}")
    wares.builder = request.param
    yield wares
    engine.clear()


@pytest.fixture
def classic(site, engine):
    yield wares_with(site, engine, ", builder: classic")
    engine.clear()


@pytest.fixture
def kit(site, engine):
    yield wares_with(site, engine)
    engine.clear()


def test_images_come_and_go_alike(both, engine):
    one = both.run("build", "--json").json
    name = one["components"]["web"]["name"]
    assert engine.tags()[name] == one["components"]["web"]["image"]
    assert both.run("build", "--json").json["id"] == one["id"]
    for number in range(2):
        both.change(f"text {number}")
        last = both.run("build", "--json").json
    assert [each["name"] for each in last["dropped_images"]] == [name]
    assert name not in engine.tags()
    assert not list((both.site.data / "scratch").iterdir())


def test_what_needs_buildkit_is_refused_before_the_build_where_there_is_none(classic, engine):
    before = engine.tags()
    classic.repo.commit({"Dockerfile": NEEDS_BUILDKIT, "other/Dockerfile":
                         "# syntax=docker/dockerfile:1\nFROM nowhere/none:1\n",
                         "seatrial.yaml": APP_YAML.replace(
                             "release:", "  other: { run: node x.js, build: other }\nrelease:")})
    refused = classic.run("build", ok=False)
    assert refused.code == 2, refused
    assert "Dockerfile, line 4: RUN --mount needs BuildKit" in refused.err
    assert "other/Dockerfile, line 1: # syntax= needs BuildKit" in refused.err
    assert "builder: auto" in refused.err
    assert engine.tags() == before and classic.run("releases", "--json").json == []
    assert "classic builder" in classic.run("doctor", ok=False).out


def test_buildkit_is_used_where_it_is(kit):
    kit.repo.commit({"Dockerfile": NEEDS_BUILDKIT})
    kit.run("deploy", "stg")
    assert kit.text("stg") == "one here"
    assert "BuildKit, driven by /" in kit.run("doctor", ok=False).out


def test_a_dockerfile_that_is_not_there_is_named(kit):
    kit.repo.commit({"seatrial.yaml": APP_YAML.replace("build: .", "build: {context: api}")})
    refused = kit.run("build", ok=False)
    assert refused.code == 2 and "there is no api/Dockerfile" in refused.err, refused


def test_secret_build_arguments_are_not_shown(both):
    both.repo.commit({
        "Dockerfile": DOCKERFILE + "ARG NPM_TOKEN\nRUN echo $NPM_TOKEN && exit 3\n",
        "seatrial.yaml": APP_YAML.replace("build: .",
                                          "build: {context: ., args: {NPM_TOKEN: hush-hush}}")})
    failed = both.run("build", ok=False)
    assert failed.code == 1 and "code: 3" in failed.err and "***" in failed.err, failed
    assert "hush-hush" not in failed.out + failed.err + both.site.daemon_logs()
