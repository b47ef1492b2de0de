"""The quick kill sweep as one test: every point once, a second kill in each recovery."""
import pathlib
import subprocess
import sys


def test_every_kill_point_converges_and_leaves_nothing():
    sweep = pathlib.Path(__file__).resolve().parent / "sweep.py"
    done = subprocess.run([sys.executable, str(sweep), "--quick"], capture_output=True, text=True,
                          timeout=1500, check=False)
    print(done.stdout[-20000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
