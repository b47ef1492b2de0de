"""What all parts share: where decks are, and what is told of them."""
import contextlib
import os
import pathlib
import time

import redis

URL = os.environ["REDIS_URL"]
FOLDER = pathlib.Path(os.environ.get("DECKS", "/decks"))
RELEASE = os.environ.get("SEATRIAL_RELEASE", "none")
KEPT = 7 * 24 * 3600    # seconds

db = redis.Redis.from_url(URL, decode_responses=True)


def on_trial():
    """Before users are on this release: their jobs are for the one before."""
    try:
        return pathlib.Path(os.environ["SEATRIAL_PHASE_FILE"]).read_text().strip() == "trial"
    except (KeyError, OSError):    # a preview, or nobody's
        return False


def queue_name(kind, own=False):
    """`own`: of the workers of this release alone."""
    return f"{kind}-{RELEASE}" if own else kind


def tell(deck, state):
    """A deck's state, and the same as an event for whoever listens, now or later."""
    with db.pipeline() as all_of_it:
        all_of_it.hset(f"deck:{deck}", "state", state)
        all_of_it.xadd(f"deck:{deck}:events", {"state": state})
        all_of_it.expire(f"deck:{deck}", KEPT)
        all_of_it.expire(f"deck:{deck}:events", KEPT)
        all_of_it.execute()


def count(name, kind, by=1):
    """All instances of all releases count together."""
    db.hincrbyfloat("metrics", f'slidecraft_{name}{{job="{kind}"}}', by)


@contextlib.contextmanager
def job(deck, kind, begins, ends, again=False):
    """Around the work: what is told and counted of it. `again`: it is tried again if it fails."""
    start = time.monotonic()
    tell(deck, begins)
    try:
        yield
    except Exception:
        count("jobs_failed_total", kind)
        tell(deck, "queued" if again else "failed")
        raise
    count("jobs_total", kind)
    count("job_seconds_total", kind, time.monotonic() - start)
    tell(deck, ends)
