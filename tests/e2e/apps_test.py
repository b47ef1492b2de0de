"""Other apps than the usual one: fewer parts, other databases, no file at all."""
import json
import os
import sqlite3

import harness
import pytest

WEB = "  web: { run: [/usr/bin/python3, -I, -S, app.py, web], port: WEB_PORT, health: / }\n"


def start(site, repo, files, key="APP-1", env=None):
    repo.commit(files)
    site.seatrial("up", "--issue", key, "--json", cwd=repo.folder, env=env, ok=True)
    return site.show(key)


def test_a_web_only_app(site, repo):
    shown = start(site, repo, {"seatrial.yaml": "app: tiny\ncomponents:\n" + WEB})
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] == "one"
    assert shown["database"] is None


def test_a_worker_without_a_port(site, repo):
    shown = start(site, repo, {
        "seatrial.yaml": "app: tiny\ncomponents:\n" + WEB +
                         "  worker: { run: [/bin/sh, worker.sh] }\n",
        "worker.sh": "echo working\nexec sleep 100000\n"})
    assert {each["name"]: each["state"] for each in shown["components"]} == \
        {"web": "running", "worker": "running"}
    assert "working" in site.seatrial("logs", "APP-1", "worker", ok=True).out


def test_sqlite_is_cloned_from_its_template(site, repo):
    template = repo.folder / "dev.sqlite"
    with sqlite3.connect(template) as database:
        database.execute("CREATE TABLE item (name text)")
        database.execute("INSERT INTO item VALUES ('from the template')")
    database.close()
    app = harness.APP_PY.replace(
        '"uid": os.getuid(),',
        '"uid": os.getuid(), "rows": __import__("sqlite3").connect('
        'os.environ["DATABASE_URL"].split("file:")[-1].removeprefix("sqlite:")'
        '.replace("//", "")).execute("SELECT name FROM item").fetchall(),')
    shown = start(site, repo, {
        "app.py": app,
        "seatrial.yaml": "app: tiny\ncomponents:\n" + WEB.replace("-S, ", "") +
                         "database: { engine: sqlite, template: dev.sqlite, file: app.sqlite, url: DATABASE_URL }\n"})
    answer = harness.get_json(harness.preview_url(shown, "web"))
    assert answer["rows"] == [["from the template"]], json.dumps(answer["env"])


def test_the_documents_variables_alone_are_enough(site, repo, postgres):
    repo.commit({"seatrial.yaml": None})
    psql = harness.private_postgres.bindir() / "psql"
    shown = start(site, repo, {}, env={
        "PREVIEW_WEB_CMD": "/usr/bin/python3 -I -S app.py web",
        "PREVIEW_API_CMD": "/usr/bin/python3 -I -S app.py api",
        "PREVIEW_INSTALL_CMD": "true",
        "PREVIEW_MIGRATE_CMD": f'{psql} -X -q -f schema.sql "$DATABASE_URL"',
        "PREVIEW_TEMPLATE_DB_NAME": "tiny_dev",
        "PREVIEW_WEB_BASE_PORT": "5100", "PREVIEW_API_BASE_PORT": "5200",
    })
    assert harness.get_json(harness.preview_url(shown, "api"))["text"] == "one"
    assert postgres.rows(shown["database"], "SELECT count(*) FROM item") == ["100"]
    # The document's own base ports and stride make slot 0's api and slot 1's web meet.
    site.seatrial("up", "--issue", "APP-2", "--json", cwd=repo.folder, ok=True)
    ports = [*shown["ports"].values(), *site.show("APP-2")["ports"].values()]
    assert len(set(ports)) == 4


def test_what_one_preview_writes_into_its_dependencies_stays_there(site, repo):
    app = harness.APP_PY.replace(
        'text = open("text.txt").read().strip()',
        'seen = open("vendor/lock.txt").read().strip()\n'
        'open("vendor/lock.txt", "w").write("written by " + os.environ["PREVIEW_ISSUE_KEY"])\n'
        'text = seen')
    one = start(site, repo, {"app.py": app}, "APP-1")
    assert harness.get_json(harness.preview_url(one, "web"))["text"] in ("1", "written by APP-1")
    two = start(site, repo, {}, "APP-2")
    assert harness.get_json(harness.preview_url(two, "web"))["text"] in ("1", "written by APP-2")


def test_init_and_check(site, repo):
    repo.commit({"seatrial.yaml": None, "package.json": json.dumps(
        {"name": "tiny", "scripts": {"dev": "node server.js"}, "dependencies": {"pg": "^8"}}),
        "package-lock.json": '{"lockfileVersion": 3, "packages": {}}\n'})
    site.seatrial("init", cwd=repo.folder, ok=True)
    assert "npm ci" in (repo.folder / "seatrial.yaml").read_text()
    site.seatrial("check", cwd=repo.folder, ok=True)
    (repo.folder / "seatrial.yaml").write_text("app: tiny\ncompnents: {}\nport: [\n")
    broken = site.seatrial("check", cwd=repo.folder)
    assert broken.code == 2
    (repo.folder / "seatrial.yaml").write_text(
        "app: tiny\ncomponents:\n  web: { rnu: x, port: WEB_PORT }\nmigrat: { run: y }\n")
    faults = site.seatrial("check", cwd=repo.folder)
    assert faults.code == 2
    text = faults.out + faults.err
    assert "seatrial.yaml:3" in text and "run" in text
    assert "seatrial.yaml:4" in text and "migrate" in text


@pytest.mark.parametrize("text", [
    "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(
        f"c{i}: &c{i} [*{'b' if i == 0 else f'c{i - 1}'}, *{'b' if i == 0 else f'c{i - 1}'}]\n"
        for i in range(40)),
    "[" * 5000 + "]" * 5000, "app: tiny\napp: tiny\n", "\ufffe", "- 1\n", "",
], ids=["bomb", "deep", "twice", "noise", "list", "empty"])
def test_bad_files_are_faults(site, repo, text):
    (repo.folder / "seatrial.yaml").write_text(text)
    assert site.seatrial("check", cwd=repo.folder, timeout=20).code == 2


def test_doctor_answers(site):
    assert site.seatrial("doctor", "--json").code in (0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a uid range to leave")
def test_git_inside_a_preview_reads_and_knows_its_commit(site, repo):
    commit = repo.commit({
        "app.py": harness.APP_PY.replace(
            'text = open("text.txt").read().strip()',
            'import subprocess\ntext = subprocess.run(["git", "rev-parse", "HEAD"], '
            'capture_output=True, text=True).stdout.strip()')})
    shown = start(site, repo, {})
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] in (
        commit, repo.git("rev-parse", "HEAD"))
