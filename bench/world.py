"""What is measured against: a repository of 5,000 files, a template of 180 MB, a server that keeps
its promises to the disk, and a data folder; on tmpfs where we are root, because deleting and
writing trees on a journal-less disk disturbs the next round for half a minute."""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("SEATRIAL_BIN", str(ROOT / "build/release/bin/seatrial"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import harness  # noqa: E402

APP = pathlib.Path(__file__).resolve().parent / "app"
TEMPLATE = "bench_dev"

YAML = """\
app: bench
components:
  web: { run: node server.js web, port: WEB_PORT, health: / }
  api: { run: node server.js api, port: API_PORT, health: / }
install: { run: npm ci --prefer-offline --no-audit --no-fund, key: [package-lock.json, deps.key], keep: [node_modules] }
migrate: { run: node migrate.js }
database: { engine: postgres, template: bench_dev, url: DATABASE_URL }
"""


class World:
    def __init__(self, files=5000, megabytes=44, template_mb=180, disk=False):
        self.mounted = False
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stbench", dir="/var/tmp"))
        self.folder.chmod(0o755)
        if os.geteuid() == 0 and not disk:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=80%", "bench",
                            str(self.folder)], check=True)
            self.mounted = True
        self.where = "tmpfs" if self.mounted else "disk"
        self.postgres = harness.Postgres(self.folder / "pg")
        self.postgres.start(durable=True)
        self.random = random.Random(1)
        self._make_template(template_mb)
        self.repository = self.folder / "repository"
        self._make_repository(files, megabytes)
        self.site = harness.Site(self.folder, self.postgres, {"int": "ttl: 24h, max: 100"})
        self.keys = 0

    def _make_template(self, megabytes):
        # 100 bytes of incompressible text a row make about 150 on disk, with the index.
        rows = megabytes * 1_000_000 // 158
        self.postgres.make_database(TEMPLATE, f"""
            CREATE TABLE filler AS SELECT i AS id, md5(i::text) || md5((i + 1)::text) ||
                md5((i + 2)::text) AS text FROM generate_series(1, {rows}) AS i;
            ALTER TABLE filler ADD PRIMARY KEY (id);""")
        self.postgres.psql("CHECKPOINT")

    def _make_repository(self, files, megabytes):
        size = megabytes * 1_000_000 // files
        for number in range(files):
            path = self.repository / f"src/{number % 50:02}/{number // 50:03}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.random.randbytes(size * 3 // 4).hex()[:size].encode())
        for name in os.listdir(APP):
            if name != "node_modules":
                shutil.copy(APP / name, self.repository / name)
        (self.repository / ".gitignore").write_text("node_modules/\n*.log\n")
        (self.repository / "seatrial.yaml").write_text(YAML)
        (self.repository / "deps.key").write_text("0\n")
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "the app")

    def git(self, *arguments):
        return subprocess.run(
            ["git", "-C", str(self.repository), "-c", "user.name=b", "-c",
             "user.email=b@example.org", "-c", "commit.gpgsign=false", *arguments],
            check=True, capture_output=True, text=True).stdout.strip()

    def head(self):
        return self.git("rev-parse", "HEAD")

    def new_dependencies(self):
        """The next commit needs an install of its own."""
        self.keys += 1
        (self.repository / "deps.key").write_text(f"{self.keys}\n")
        self.git("commit", "-q", "-a", "-m", f"dependencies {self.keys}")

    def change(self, files=10):
        """A commit that touches ten files and no lock file."""
        for number in range(files):
            path = self.repository / f"src/{number:02}/000.txt"
            path.write_bytes(self.random.randbytes(200).hex().encode())
        self.git("commit", "-q", "-a", "-m", "a change")

    def database_env(self):
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.postgres.port), "PGUSER": "seatrial",
                "PGPASSWORD": self.postgres.password, "PGDATABASE": "postgres"}

    def size_of(self, database):
        return int(self.postgres.psql(f"SELECT pg_database_size('{database}')"))

    def close(self):
        try:
            self.site.close()
        finally:
            self.postgres.stop()
            if self.mounted:
                subprocess.run(["umount", "-l", str(self.folder)], check=False)
            shutil.rmtree(self.folder, ignore_errors=True)
