"""The client that never stops asking (tests/support/prober.mjs), as a process of ours."""
import json
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "support/prober.mjs"


class Prober:
    def __init__(self, url, **options):
        self.process = subprocess.Popen(["node", str(SCRIPT), json.dumps({"url": url, **options})],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def report(self):
        """What came since the start or the last reset; `failed` has the first failures."""
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def reset(self):
        self.process.stdin.write("reset\n")
        self.process.stdin.flush()

    def stop(self):
        """Ends it; the last report."""
        try:
            return self.report()
        finally:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
