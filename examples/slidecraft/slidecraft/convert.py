"""The worker on RQ: a text becomes slides."""
import json

import redis
from rq import Worker, get_current_job

from .store import FOLDER, URL, job, on_trial, queue_name


def slides_of(text):
    """Parts between lines of dashes; the first line of each is its title."""
    slides = []
    for part in text.split("\n---\n"):
        title, *lines = part.strip().splitlines() or [""]
        slides.append({"title": title.lstrip("# "), "lines": [line for line in lines if line]})
    return slides


def convert(deck):
    again = bool(get_current_job().retries_left)
    with job(deck, "convert", "converting", "converted", again):
        slides = slides_of((FOLDER / f"{deck}.md").read_text(errors="replace"))
        (FOLDER / f"{deck}.json").write_text(json.dumps(slides))


class Careful(Worker):
    """Told to end, RQ's own forgets a job that it has taken in this very moment. This one looks once
    a second whether it was told, between two jobs; and whether its trial is over."""

    def __init__(self, trial):
        names = [queue_name("convert", own=True)] + ([] if trial else [queue_name("convert")])
        super().__init__(names, connection=redis.Redis.from_url(URL))
        self.trial, self.told = trial, False

    def request_stop(self, *_):
        self.told = True

    def dequeue_job_and_maintain_ttl(self, *_):
        taken = None
        while taken is None and not self.told and not (self.trial and not on_trial()):
            taken = super().dequeue_job_and_maintain_ttl(timeout=1, max_idle_time=1)
        return taken


def work():
    """On trial for this release alone, then for all."""
    told = False
    while not told:
        worker = Careful(on_trial())
        worker.work()
        told = worker.told or not worker.trial


if __name__ == "__main__":
    work()
