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
        return self._say("report")

    def reset(self):
        """The same, and begins anew."""
        return self._say("reset")

    def _say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        """Ends it; the last report."""
        try:
            return self.report()
        finally:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
