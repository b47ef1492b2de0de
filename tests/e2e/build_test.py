"""Builds of releases: by BuildKit and by the engine's classic builder, seen while they go on."""
import base64
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import docker_engine
import harness
import pytest
from wares import APP_YAML, DOCKERFILE, Wares, free_port

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


def test_a_builder_gets_what_dockerignore_leaves(both, engine):
    files = {"Dockerfile": DOCKERFILE + "COPY . /files\n", "web/README.md": "x\n", "notes.md": "x\n",
             "keys/secret.pem": "x\n", "keys/public.pem": "x\n",
             ".dockerignore": "# not for images\n**/*.md\nkeys\n!keys/public.pem\nDockerfile\n"}
    both.repo.commit(files)
    inside = engine.files(both.run("build", "--json").json["components"]["web"]["image"], "/files")
    assert "keys/public.pem" in inside and "served.js" in inside, inside
    assert not {"web/README.md", "notes.md", "keys/secret.pem"} & set(inside), inside
    # The Dockerfile's own goes before it.
    both.repo.commit({"Dockerfile.dockerignore": "*\n!*.js\n!*.txt\n"})
    inside = engine.files(both.run("build", "--json").json["components"]["web"]["image"], "/files")
    assert {"served.js", "text.txt", "mode.txt"} <= set(inside), inside
    assert "seatrial.yaml" not in inside and "keys/public.pem" not in inside, inside
    both.repo.commit({"Dockerfile.dockerignore": "*\n[\n"})
    refused = both.run("build", ok=False)
    assert "Dockerfile.dockerignore, line 2: '[' has no ']'" in refused.err, refused


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


def test_lines_come_while_it_builds_and_are_kept(both):
    both.repo.commit({"Dockerfile": DOCKERFILE + """\
RUN ["node", "-e", "console.log('first words'); setTimeout(() => {}, 1500)"]
"""})
    build = subprocess.Popen([str(harness.BIN), "build"], cwd=both.repo.folder,
                             env=both.site.env(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
    for line in build.stdout:
        if "first words" in line and "RUN" not in line:
            break
    assert line.strip() == "web |   first words" and build.poll() is None
    rest = build.stdout.read()
    assert build.wait(60) == 0
    assert any(float(took) >= 1.4 for took in re.findall(r"done in (\d+\.\d) s", rest)), rest
    release, = both.run("releases", "--json").json
    log = both.run("releases", "--log", release["tag"]).out
    assert "web |   first words\n" in log and "done in " in log
    assert f"release {release['tag']}" in rest
    # Nothing is built, nothing is said.
    assert "|" not in both.run("build").out


def test_json_is_a_line_per_event(both):
    lines = both.run("deploy", "stg", "--json").out.splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[0] == "build" and "switched" in kinds
    assert json.loads(lines[0])["data"]["component"] == "web"


def test_all_that_a_failed_build_said_can_be_seen_again(both):
    words = "".join(f"console.log('word ' + {number});" for number in range(50))
    both.repo.commit({"Dockerfile": DOCKERFILE + f'RUN ["node", "-e", "{words}process.exit(3)"]\n'})
    failed = both.run("build", ok=False)
    assert failed.code == 1 and "word 49" in failed.err and "word 1\n" not in failed.err, failed
    build = failed.err.split("seatrial releases --log ")[1].split("`")[0]
    log = both.run("releases", "--log", build).out
    assert "web |   word 1\n" in log and "seatrial | failed: the build of 'web'" in log
    missing = both.run("releases", "--log", "0" * 26, ok=False)
    assert missing.code == 4, missing


def running(word):
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in entry.read_bytes().split(b"\0"):
                return True
        except OSError:
            pass
    return False


def everything(engine):
    return ({image["Id"] for image in engine.call("GET", "/images/json?all=1")},
            {each["Id"] for each in engine.call("GET", "/containers/json?all=1")})


def test_ctrl_c_ends_the_build_and_nothing_is_left(both, engine):
    word = f"moment-{both.builder}-{os.getpid()}"
    before = everything(engine)
    both.repo.commit({"Dockerfile": DOCKERFILE + f"""\
ENV MADE=1
RUN ["node", "-e", "console.log('waiting'); setTimeout(() => {{}}, 600000)", "{word}"]
"""})
    build = subprocess.Popen([str(harness.BIN), "build"], cwd=both.repo.folder,
                             env=both.site.env(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
    for line in build.stdout:
        if "waiting" in line and "RUN" not in line:
            break
    assert running(word)
    build.send_signal(signal.SIGINT)
    assert build.wait(30) == 130
    harness.wait_for(lambda: not running(word), "the end of what was built", 30)
    harness.wait_for(lambda: everything(engine) == before, "nothing that is left", 30)
    assert both.run("releases", "--json").json == []
    assert not list((both.site.data / "scratch").iterdir())


@pytest.fixture(scope="module")
def registry():
    """One that wants a login, as `host:port`."""
    loader = importlib.machinery.SourceFileLoader("private_docker", str(docker_engine.TOOL))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(tool)
    folder = harness.temporary_folder("registry")
    place = tool.Engine(folder)
    place.start_registry()
    yield tool, "127.0.0.1:" + (folder / "registry.port").read_text().strip()
    place.registry.terminate()
    place.registry.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_registry_that_wants_a_login(site, engine, registry, builder):
    tool, host = registry
    password = site.folder / "password"
    password.write_text(tool.REGISTRY_PASSWORD + "\n")
    password.chmod(0o644)
    wares = wares_with(site, engine, f', builder: {builder}, registries: {{"{host}": '
                                     f"{{user: {tool.REGISTRY_USER}, password_file: {password}}}}}")
    login = f"{tool.REGISTRY_USER}:{tool.REGISTRY_PASSWORD}".encode()
    (site.folder / "config.json").write_text(json.dumps(
        {"auths": {host: {"auth": base64.b64encode(login).decode()}}}))

    def docker(*words):
        subprocess.run(["/usr/bin/docker", "-H", f"unix://{engine.socket}", *words], check=True,
                       stdout=subprocess.DEVNULL,
                       env={**os.environ, "DOCKER_CONFIG": str(site.folder)})
    base, ready = f"{host}/team/{builder}:1", f"{host}/team/ready-{builder}:1"
    for name in (base, ready):
        docker("tag", "local/node:1", name)
        docker("push", "-q", name)
        docker("rmi", name)
    wares.repo.commit({"Dockerfile": DOCKERFILE.replace("local/node:1", base),
                       "seatrial.yaml": APP_YAML.replace(
                           "release:", f'  ready: {{ run: node, image: "{ready}" }}\nrelease:')})
    open_to_all = wares.run("build", ok=False)
    assert open_to_all.code == 3 and f"docker.registries.{host}.password_file" in open_to_all.err
    password.chmod(0o600)
    os.chown(password, site.get("/api/v1/server")[1]["uid"], -1)
    built = wares.run("build")
    assert ready in built.out
    for text in (open_to_all.out + open_to_all.err, built.out + built.err, site.daemon_logs(10**6)):
        assert tool.REGISTRY_PASSWORD not in text
    assert not list((site.data / "scratch").iterdir())
    engine.clear()
    for name in (base, ready):
        if name in engine.tags():
            docker("rmi", name)


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_registry_that_is_down_stops_nothing_but_a_build(site, engine, builder):
    wares = wares_with(site, engine, f", builder: {builder}")
    wares.run("deploy", "stg")
    text = wares.text("stg")
    host = f"127.0.0.1:{free_port()}"
    base = f"{host}/team/base:1"
    for said, files in zip(("the build of 'web' failed", f"the image {base} of 'ready'"), ({"Dockerfile": DOCKERFILE.replace("local/node:1", base)},
                  {"Dockerfile": DOCKERFILE, "seatrial.yaml": APP_YAML.replace(
                      "release:", f'  ready: {{ run: node, image: "{base}" }}\nrelease:')}), strict=True):
        wares.repo.commit(files)
        failed = wares.run("deploy", "stg", ok=False)
        assert failed.code == 1 and said in failed.err and host in failed.err, failed
        assert "connection refused" in failed.err
        assert wares.text("stg") == text
    # What is built needs none.
    release, = wares.run("releases", "--json").json
    wares.run("deploy", "prd", "--release", release["id"])
    assert wares.text("prd") == text
    assert not list((wares.site.data / "scratch").iterdir())
    engine.clear()


def test_the_cache_of_builds_keeps_to_its_budget(site, engine):
    wares = wares_with(site, engine, ", builder: buildkit, build_cache: 1M")
    big = DOCKERFILE + 'RUN ["node", "-e", "fs.writeFileSync(\'/big\', Buffer.alloc(8 << 20))"]\n'
    wares.repo.commit({"Dockerfile": big})
    first = wares.run("build", "--json").json
    wares.repo.commit({"Dockerfile": big.replace("/big", "/large")})
    # What an image that stays is made of is not the cache's alone: it goes with the image.
    for number in range(3):
        wares.change(f"text {number}")
        last = wares.run("build", "--json").json
    assert first["components"]["web"]["name"] not in engine.tags()
    told = wares.run("cleanup", "--dry-run", "--json").json["build_cache"]
    assert told["freed"] == max(told["bytes"] - (1 << 20), 0)
    assert last["build_cache_freed"] > 0 and told["bytes"] < 40 << 20, (last, told)
    engine.clear()
