"""The worker on RQ: a text becomes slides."""
import json

import redis
from rq import Worker, get_current_job

from .store import FOLDER, URL, job, queue_name


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
    a second whether it was told, between two jobs."""

    def request_stop(self, *_):
        self._stop_requested = True

    def dequeue_job_and_maintain_ttl(self, *_):
        taken = None
        while taken is None and not self._stop_requested:
            taken = super().dequeue_job_and_maintain_ttl(timeout=1, max_idle_time=1)
        return taken


def make_worker():
    return Careful([queue_name("convert"), queue_name("convert", own=True)],
                   connection=redis.Redis.from_url(URL))


if __name__ == "__main__":
    make_worker().work()
