"""`seatrial env`: sources written into files that deploys read, checks of what environments get, and
the schema as a file."""
import os
import random
import time

import harness
import pytest
from secrets_test import TOKEN, VALUE, doppler, of_doppler, restart, wares  # noqa: F401
from release_checks_test import yaml

PRIVATE = "-----BEGIN PRIVATE KEY-----\nAAAA{}\n-----END PRIVATE KEY-----\n"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nBBBB\n-----END PUBLIC KEY-----\n"


class Synced:
    """The files of `stg`, in a folder that is the daemon's."""

    def __init__(self, wares, doppler):  # noqa: F811
        self.wares, self.doppler = wares, doppler
        self.folder = wares.site.folder / "config"
        self.folder.mkdir()
        os.chown(self.folder, *wares.owner())
        self.env = self.folder / ".env.staging"
        self.keys = {"JWT_PRIVATE_KEY": self.folder / "private.pem",
                     "JWT_PUBLIC_KEY": self.folder / "public.pem"}
        self.values = doppler.configs[("shop", "staging")]
        self.values.update(JWT_PRIVATE_KEY=PRIVATE.format(1), JWT_PUBLIC_KEY=PUBLIC)
        wares.files["stg"] = self.env
        keys = ", ".join(f"{name}: {path}" for name, path in self.keys.items())
        sync = f", sync: {{ file: {self.env}, keys: {{ {keys} }} }}"
        key = f"{{ jwt: {{ file: {self.keys['JWT_PRIVATE_KEY']}, target: /app/keys/jwt.pem }} }}"
        wares.configure(stg=f", key_files: {key}, secrets: {of_doppler(wares, doppler, more=sync)}")
        wares.site.serve().wait_ready()

    def sync(self, *arguments, ok=True):
        return self.wares.run("env", "sync", "stg", *arguments, ok=ok)

    def texts(self):
        return {path.name: path.read_text() for path in (self.env, *self.keys.values())
                if path.exists()}


@pytest.fixture
def synced(wares, doppler):  # noqa: F811
    return Synced(wares, doppler)


def mode(path):
    return oct(path.stat().st_mode & 0o777)


def test_files_are_written_and_deploys_read_these(synced, wares, doppler):  # noqa: F811
    planned = synced.sync("--dry-run")
    assert "added    WHERE" in planned.out and "nothing is written" in planned.out
    assert synced.texts() == {}
    done = synced.sync()
    assert "written" in done.out
    assert VALUE in synced.env.read_text() and "JWT_PRIVATE_KEY=" not in synced.env.read_text()
    assert [mode(path) for path in (synced.env, *synced.keys.values())] == ["0o600", "0o600", "0o644"]
    assert synced.env.stat().st_uid == wares.owner()[0]
    assert synced.keys["JWT_PRIVATE_KEY"].read_text() == PRIVATE.format(1)
    assert "nothing has changed" in synced.sync().out
    # The source is not asked any more.
    asked = doppler.asked
    doppler.fault = 503
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"one {VALUE}" and doppler.asked == asked
    assert "AAAA1" in wares.text("stg", "/key")
    synced.values.update(WHERE="new-" + VALUE, MORE="1")
    del synced.values["LEVEL"]
    before = synced.texts()
    for fault in (503, "cut", "nonsense", 401):
        doppler.fault = fault
        failed = synced.sync(ok=False)
        assert failed.code != 0 and "doppler shop/staging" in failed.err, failed
        assert synced.texts() == before
    doppler.fault = None
    changed = synced.sync()
    assert [line.split()[:2] for line in changed.out.splitlines()[1:]] == [
        ["added", "MORE"], ["changed", "WHERE"], ["removed", "LEVEL"]]
    told = wares.said(planned, done, failed, changed)
    for secret in (VALUE, TOKEN, "AAAA"):
        assert secret not in told and secret not in wares.site.daemon_logs(10**7)


def test_a_source_that_lacks_a_key_keeps_the_last_good_files(synced):
    synced.sync()
    before = synced.texts()
    del synced.values["JWT_PUBLIC_KEY"]
    partial = synced.sync(ok=False)
    assert partial.code == 2 and "JWT_PUBLIC_KEY is in sync.keys, and not in the source" in partial.err
    synced.doppler.configs[("shop", "staging")] = {}
    empty = synced.sync(ok=False)
    assert empty.code == 2 and "no variables" in empty.err
    assert synced.texts() == before


def test_a_file_written_by_hand_is_not_overwritten_unasked(synced, wares):  # noqa: F811
    wares.write("stg", "MINE=1\n")
    refused = synced.sync(ok=False)
    assert refused.code == 3 and str(synced.env) in refused.err and "--adopt" in refused.err
    assert synced.env.read_text() == "MINE=1\n"
    assert "removed  MINE" in synced.sync("--adopt").out
    assert VALUE in synced.env.read_text()


@pytest.mark.parametrize("point", ["sync.env_written", "sync.key_written"])
def test_killed_between_files_it_is_told_and_goes_on(synced, wares, point):  # noqa: F811
    synced.sync()
    old = synced.texts()
    synced.values.update(JWT_PRIVATE_KEY=PRIVATE.format(2), JWT_PUBLIC_KEY=PUBLIC.replace("B", "C"))
    wares.site.daemon.terminate()
    wares.site.serve({"SEATRIAL_FAILPOINTS": point + "=kill"}).wait_ready()
    assert synced.sync(ok=False).code != 0
    wares.site.daemon.wait_end()
    cut = synced.texts()
    assert cut["public.pem"] == old["public.pem"] and cut[".env.staging"] != old[".env.staging"]
    wares.site.serve().wait_ready()
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 2 and "was cut short" in refused.err and "seatrial env sync stg" in refused.err
    synced.sync()
    assert synced.texts()["private.pem"] == PRIVATE.format(2)
    wares.run("deploy", "stg", "--wait")
    assert "AAAA2" in wares.text("stg", "/key")


def test_kill_9_at_any_time_leaves_whole_files(synced, wares):  # noqa: F811
    chance = random.Random(20261122)
    names = [f"V{number}" for number in range(400)]

    def want(version):
        synced.values.update({name: f"version {version}" for name in names},
                             JWT_PRIVATE_KEY=PRIVATE.format(version))

    def versions():
        lines = [line.partition("=")[2].strip('"') for line in synced.env.read_text().splitlines()
                 if line.startswith("V")]
        assert len(lines) == len(names) and len(set(lines)) == 1
        key = synced.keys["JWT_PRIVATE_KEY"].read_text()
        return int(lines[0].split()[1]), next(n for n in range(99) if key == PRIVATE.format(n))
    want(0)
    synced.sync()
    for round_ in range(1, 11):
        want(round_)
        running = wares.start("env", "sync", "stg")
        time.sleep(chance.random() * 0.1)    # any time at all
        wares.site.daemon.kill()
        running.communicate(timeout=30)
        seen = versions()
        assert set(seen) <= {round_ - 1, round_}
        wares.site.serve().wait_ready()
        synced.sync()
        assert versions() == (round_, round_)


def test_check_tells_all_faults_at_once_and_changes_nothing(wares, doppler):  # noqa: F811
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    wares.site.serve().wait_ready()
    (wares.repo.folder / "seatrial.yaml").write_text(yaml(
        "env: { WHERE: { type: port, secret: true }, MISSING: { required: true }, "
        "LEVEL: { values: [debug] } }\n"))
    bad = wares.run("env", "check", "stg", ok=False)
    assert bad.code == 2
    for text in ("doppler shop/staging: WHERE", "MISSING", "doppler shop/staging: LEVEL"):
        assert text in bad.out
    assert VALUE not in bad.out
    all_of_them = wares.run("env", "check", "--json", ok=False).json
    assert set(all_of_them) == {"stg", "prd"} and len(all_of_them["stg"]["faults"]) == 3
    doppler.fault = 401
    down = wares.run("env", "check", "stg", ok=False)
    assert down.code == 2 and "it answers 401" in down.out and "MISSING" not in down.out
    doctor = wares.run("doctor", ok=False)
    assert "doppler shop/staging" in doctor.out and "401" in doctor.out
    doppler.fault = None
    (wares.repo.folder / "seatrial.yaml").write_text(yaml("env: { WHERE: { required: true } }\n"))
    assert wares.run("env", "check", "stg").out.startswith("stg has what the app needs")
    assert "doppler shop/staging answers" in wares.run("doctor", ok=False).out
    differ = wares.run("env", "diff", "stg", "prd", ok=False)
    assert differ.code == 1 and "LEVEL is only in stg" in differ.out and VALUE not in differ.out


def test_the_schema_as_a_file_for_git(wares):  # noqa: F811
    (wares.repo.folder / "seatrial.yaml").write_text(yaml(
        "env:\n"
        "  DATABASE_URL: { required: true, type: url, secret: true, description: where data is }\n"
        "  LOG_LEVEL: { values: [debug, info], value: info }\n"
        "  TOKEN: { secret: true }\n"))
    wares.run("env", "example")
    example = (wares.repo.folder / ".env.example").read_text()
    assert "# where data is\n# required; url; secret\nDATABASE_URL=\n" in example
    assert "# optional; one of debug, info\n# LOG_LEVEL=info\n" in example
    assert "# optional; secret\n# TOKEN=\n" in example
    wares.run("env", "example")    # its own is written anew
    (wares.repo.folder / ".env.example").write_text("MINE=\n")
    assert wares.run("env", "example", ok=False).code == 3
    wares.run("env", "example", "--force")
