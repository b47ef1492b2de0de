"""Components of kind static: files that a web server gives out, packed into an image."""
import urllib.error
import urllib.request

import harness
import pytest
from wares import free_port

BUILD = """\
const fs = require('fs');
fs.mkdirSync('dist/assets', { recursive: true });
fs.writeFileSync('dist/index.html', `<h1>${process.argv[2]} for ${process.env.API_BASE}</h1>`);
fs.writeFileSync('dist/assets/app.js', 'go();');
"""

APP = """\
app: site
components:
  fe:
    run: npx vite
    port: FE_PORT
    static: { context: fe, image: "local/node:1", run: node build.js "it's made",
              folder: dist, server: "local/nginx:1" }
    health: /
  docs:
    run: npx vite
    port: DOCS_PORT
    static: { folder: docs, server: "local/nginx:1" }
    health: /docs/
    path: /docs
env: { API_BASE: { scope: build } }
release: { checks: [/, /docs/guide.html] }
"""


@pytest.fixture(params=["auto", "classic"])
def pages(request, site, engine):
    engine.tell("image nginx")
    port = free_port()
    site.write_config(
        {"stg": f'env: {{ API_BASE: "https://api" }}, release: {{ listen: ["127.0.0.1:{port}"], '
                "watch: 0s }"},
        f"docker: {{ socket: {engine.socket}, min_free: 0, builder: {request.param} }}\n")
    repo = harness.TinyRepo(site.folder / "site", "site")
    repo.commit({"seatrial.yaml": APP, "fe/build.js": BUILD, "docs/index.html": "docs",
                 "docs/guide.html": "guide", "package.json": '{"version": "1.0.0"}'})

    class Pages:
        def run(self, *arguments, ok=True):
            return site.seatrial(*arguments, cwd=repo.folder, ok=ok)

        def get(self, path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode(), answer.headers
            except urllib.error.HTTPError as error:
                return error.code, "", error.headers
    Pages.repo = repo
    yield Pages()
    engine.clear()


def test_files_are_built_packed_and_served(pages):
    pages.run("deploy", "stg", "--wait")
    status, text, headers = pages.get("/")
    assert (status, text) == (200, "<h1>it's made for https://api</h1>")
    assert headers["Cache-Control"] == "no-cache" and headers["ETag"]
    assert pages.get("/assets/app.js")[:2] == (200, "go();")
    # A page of the app, not a file; and a file that there is not.
    assert pages.get("/orders/12")[:2] == (200, text)
    assert pages.get("/assets/old.js")[0] == 404
    assert pages.get("/docs/guide.html")[:2] == (200, "guide")
    assert pages.get("/docs/any/page")[:2] == (200, "docs")
    (release,) = pages.run("releases", "--json").json
    assert {name: part["kind"] for name, part in release["components"].items()} == \
        {"fe": "static", "docs": "static"}
    assert all(part["image"].startswith("sha256:") for part in release["components"].values())


def test_a_build_that_fails_and_a_folder_that_is_not_there(pages):
    pages.repo.commit({"fe/build.js": "console.log('no such page'); process.exit(3);"})
    failed = pages.run("build", ok=False)
    assert failed.code == 1 and "the build of 'fe' failed" in failed.err, failed
    assert "no such page" in failed.err
    pages.repo.commit({"fe/build.js": BUILD,
                       "seatrial.yaml": APP.replace("folder: docs,", "folder: pages,")})
    failed = pages.run("build", ok=False)
    assert failed.code == 1 and "the build of 'docs' failed" in failed.err, failed
