"""The reference pages are what the tables of the program say."""
import subprocess

import harness


def test_the_reference_pages_are_up_to_date(tmp_path):
    subprocess.run([harness.BIN, "reference", tmp_path], check=True)
    for page in sorted(tmp_path.iterdir()):
        kept = harness.ROOT / "docs" / "reference" / page.name
        assert kept.read_text() == page.read_text(), \
            f"{page.name}: regenerate with `seatrial reference docs/reference`"


def test_completion_knows_every_command_and_its_options():
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run([harness.BIN, "completion", shell], check=True,
                                capture_output=True, text=True).stdout
        assert "explain" in script and "keep-failed" in script
        assert "reference" not in script
    bash = subprocess.run([harness.BIN, "completion", "bash"], check=True, capture_output=True,
                          text=True).stdout
    subprocess.run(["bash", "-n"], input=bash, text=True, check=True)
