"""Variables from Doppler, AWS Secrets Manager and Vault: they reach the containers and nothing else,
and a source that is down stops before anything changes."""
import json
import os
import pathlib
import subprocess
import sys

import harness
import pytest
from release_checks_test import APP_JS, DOCKERFILE, Places, yaml

SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
from secret_stores import Doppler, Vault  # noqa: E402

PYTHON = harness.ROOT / ".cache/test-python/bin/python"
TOKEN = "dp.st.prd.s3cr3t-token"
VALUE = "s3cr3t-value"


class Keeper(Places):
    """As Places, with files to log in by."""

    def key(self, name, text, mode=0o600):
        path = self.site.folder / name
        path.write_text(text)
        os.chown(path, *self.owner())
        path.chmod(mode)
        return path

    def everything(self):
        """What the daemon keeps and says, as one text."""
        texts = [self.site.daemon_logs(10**7)]
        for path in self.site.data.rglob("*"):
            if path.is_file() and not path.is_symlink():
                texts.append(path.read_bytes().decode(errors="replace"))
        return "\n".join(texts)

    def said(self, *results):
        return "\n".join(each.out + each.err for each in results)


@pytest.fixture
def wares(site, engine):
    wares = Keeper(site, engine)
    wares.repo.commit({"Dockerfile": DOCKERFILE, "app.js": APP_JS, "text.txt": "one\n",
                       "seatrial.yaml": yaml()})
    yield wares
    engine.clear()


@pytest.fixture
def doppler():
    doppler = Doppler(TOKEN)
    doppler.configs[("shop", "staging")] = {"WHERE": VALUE, "LEVEL": "of-doppler"}
    yield doppler
    doppler.stop()
    assert doppler.wrong == []


def of_doppler(wares, doppler, config="staging", more=""):
    token = wares.key("doppler-token", TOKEN + "\n")
    return f"{{ doppler: shop, config: {config}, url: '{doppler.url}', token_file: {token}{more} }}"


def test_doppler_gives_the_containers_what_it_has_and_nobody_else(wares, doppler, engine):
    wares.write("stg", "WHERE=here\nLEVEL=of-the-file\n")
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    deployed = wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"one {VALUE}" and wares.text("stg", "/level") == "of-doppler"
    # Read anew each time; no restart is needed for it.
    wares.change("two")
    doppler.configs[("shop", "staging")]["WHERE"] = "other-" + VALUE
    again = wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"two other-{VALUE}"
    told = wares.said(deployed, again, wares.run("history", "stg", "--json"),
                      wares.run("doctor", "--json", ok=False))
    for secret in (VALUE, TOKEN):
        assert secret not in told and secret not in wares.everything()
    (container,) = wares.deployment("stg")["slots"][-1]["containers"]["web"]
    given = engine.inspect(container)["Config"]["Env"]
    assert not any(line.startswith("DOPPLER_") for line in given)


@pytest.mark.parametrize("fault,code,tells", [
    (503, 1, "503"), (401, 3, "token"), (404, 4, "doppler shop/staging"), ([429] * 9, 1, "429"),
    ("cut", 1, "doppler shop/staging"), ("nonsense", 2, "no JSON"), (302, 2, "302")])
def test_a_source_that_fails_stops_before_any_change(wares, doppler, fault, code, tells):
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    wares.run("deploy", "stg", "--wait")
    before = wares.deployment("stg")
    wares.change("two")
    doppler.fault, doppler.retry_after = fault, "30"
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == code, refused
    assert "doppler shop/staging" in refused.err and tells in refused.err
    assert "s3cr3t" not in refused.err
    assert wares.deployment("stg") == before and wares.text("stg") == f"one {VALUE}"
    assert len(wares.run("releases", "--json").json) == 1    # not even built
    doppler.fault = None
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"two {VALUE}"


def test_a_short_outage_is_waited_for(wares, doppler):
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    doppler.fault = [503, 429]
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"one {VALUE}"


def test_faults_of_variables_name_their_source(wares, doppler):
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    wares.repo.commit({"seatrial.yaml": yaml(
        "env: { WHERE: { type: port, secret: true }, MISSING: { required: true } }\n")})
    doppler.configs[("shop", "staging")]["KEY"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n"
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 2
    assert "doppler shop/staging: WHERE: its value (not shown) is not a port" in refused.err
    assert "MISSING: has no value (give it in doppler shop/staging)" in refused.err
    assert "doppler shop/staging: KEY: is a private key" in refused.err
    assert VALUE not in refused.err and "AAAA" not in refused.err


def test_a_token_that_others_can_read_is_refused(wares, doppler):
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    wares.key("doppler-token", TOKEN, 0o640)
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 3 and "chmod 600" in refused.err and doppler.asked == 0
    assert TOKEN not in refused.err


def test_promotion_compares_what_sources_give(wares, doppler):
    doppler.configs[("shop", "production")] = {"WHERE": VALUE, "LEVEL": "another"}
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]",
                    prd=f", secrets: [{of_doppler(wares, doppler, 'production')}]",
                    approval="false")
    wares.run("deploy", "stg", "--wait")
    refused = wares.run("promote", ok=False)
    assert refused.code == 3 and "LEVEL has another value in prd than in stg" in refused.err
    assert "WHERE" not in refused.err and "DOPPLER" not in refused.err
    doppler.configs[("shop", "production")]["LEVEL"] = "of-doppler"
    wares.run("promote", "--wait")
    assert wares.text("prd") == f"one {VALUE}"


def test_what_serves_is_not_lost_while_its_source_is_down(wares, doppler, engine):
    wares.configure(stg=f", secrets: [{of_doppler(wares, doppler)}]")
    wares.run("deploy", "stg", "--wait")
    (container,) = wares.deployment("stg")["slots"][0]["containers"]["web"]
    asked = doppler.asked
    doppler.fault = 401
    # One that ended is started again as it was: nobody is asked.
    engine.call("POST", f"/containers/{container}/kill")
    harness.wait_for(lambda: answers(wares) == f"one {VALUE}", "the container's return", 30)
    assert doppler.asked == asked
    # One that is gone is made anew, which needs the source: tried until it answers.
    engine.call("DELETE", f"/containers/{container}?force=1")

    def waits():
        return [row for row in wares.run("history", "stg", "--json").json
                if row["kind"] == "waiting" and "doppler shop/staging" in row["data"]["message"]]
    harness.wait_for(waits, "the reason in the history", 30, 0.2)
    assert wares.deployment("stg")["serving"].startswith("1.4.0-")
    assert wares.run("incidents", "--json").json == []
    doppler.fault = None
    harness.wait_for(lambda: answers(wares) == f"one {VALUE}", "the container made anew", 60)


def answers(wares):
    try:
        return wares.text("stg")
    except OSError:
        return None


@pytest.fixture
def vault():
    vault = Vault("hvs.s3cr3t-token", ("role", "s3cr3t-id"), "team/shop")
    vault.secrets["shop/stg"] = {"WHERE": VALUE, "PORTS": 3}
    yield vault
    vault.stop()
    assert vault.wrong == []


def test_vault_by_token_and_by_role_in_both_versions(wares, vault):
    token = wares.key("vault-token", vault.token)
    secret_id = wares.key("secret-id", vault.role[1])
    common = f"url: '{vault.url}', namespace: team/shop"
    wares.configure(stg=f", secrets: {{ vault: secret/data/shop/stg, {common}, token_file: {token} }}")
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"one {VALUE}"
    vault.sealed = True
    sealed = wares.run("deploy", "stg", ok=False)
    assert sealed.code == 1 and "vault secret/data/shop/stg" in sealed.err and "503" in sealed.err
    vault.sealed = False
    token.write_text("hvs.another")
    denied = wares.run("deploy", "stg", ok=False)
    assert denied.code == 3 and str(token) in denied.err and "hvs." not in denied.err
    wares.configure(stg=f", secrets: {{ vault: kv/shop/stg, {common}, role_id: role, "
                        f"secret_id_file: {secret_id} }}")
    vault.secrets["shop/stg"]["WHERE"] = "version-1"
    restart(wares)
    wares.change("two")
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == "two version-1" and len(vault.issued) >= 1
    secret_id.write_text("another")
    assert wares.run("deploy", "stg", ok=False).code == 3
    for secret in (vault.token, vault.role[1], *vault.issued, VALUE):
        assert secret not in wares.everything()


def restart(wares):
    """The server's file is read at start."""
    if wares.site.daemon:
        wares.site.daemon.terminate()
    else:
        harness.stop_pid(int((wares.site.data / "daemon.pid").read_text()))
    wares.site.serve().wait_ready()


@pytest.fixture
def aws():
    assert PYTHON.exists(), "./dev setup test installs it"
    kept = {"shop/stg": {"WHERE": VALUE, "port": 5432}, "shop/level": "plain text"}
    process = subprocess.Popen([PYTHON, SUPPORT / "moto_store.py", json.dumps(kept)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    yield json.loads(process.stdout.readline())
    process.stdin.close()
    process.wait(30)


def test_aws_secrets_manager_with_signatures_and_rights_checked(wares, aws):
    def credentials(user, **changed):
        user = {**aws[user], **changed}
        return wares.key("aws", "[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n"
                                f"[deploy]\naws_access_key_id = {user['id']}\n"
                                f"aws_secret_access_key = {user['secret']}\n")
    file = credentials("reader")
    common = f"region: {aws['region']}, url: '{aws['url']}', profile: deploy, credentials_file: {file}"
    wares.configure(stg=f", secrets: [{{ aws: shop/stg, {common} }}, "
                        f"{{ aws: shop/level, as: LEVEL, {common} }}]")
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == f"one {VALUE}" and wares.text("stg", "/level") == "plain text"
    for changed in ({"user": "nobody"}, {"user": "reader", "secret": "s3cr3t-wrong"},
                    {"user": "reader", "id": "AKIAIOSFODNN7EXAMPLE"}):
        credentials(**changed)
        refused = wares.run("deploy", "stg", ok=False)
        assert refused.code == 3 and "aws shop/stg" in refused.err, refused
        assert "s3cr3t" not in refused.err
    credentials("reader")
    wares.configure(stg=f", secrets: {{ aws: shop/none, {common} }}")
    restart(wares)
    missing = wares.run("deploy", "stg", ok=False)
    assert missing.code == 4 and "ResourceNotFoundException" in missing.err
    assert aws["reader"]["secret"] not in wares.everything()
