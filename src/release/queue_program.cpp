#include "release/queue_program.h"

namespace seatrial::release {

// Python 3.7 and newer; RQ 1 and newer; Celery 4 and newer.
const std::string_view queue_program = R"py(
import json, os, sys, time
from urllib.parse import urlsplit
sys.path.append(sys.path.pop(0))  # the app's own files come after its libraries
word, told = sys.argv[1], json.loads(sys.argv[2])
url = os.environ.get(told["url"], "")
names = told.get("queues", [])
end = time.monotonic() + told.get("seconds", 0)


def show(count):
    print(count, flush=True)


def rq():
    from redis import Redis
    from rq import Queue, Worker
    from rq.registry import StartedJobRegistry
    from rq.suspension import resume, suspend
    redis = Redis.from_url(url, socket_connect_timeout=5)
    if word == "pause":
        # It ends by itself should nobody be left to end it.
        suspend(redis, int(told["seconds"]))
    elif word == "resume":
        resume(redis)
    elif word == "watch":
        # An idle worker sees the pause only between two jobs: an empty one makes it look.
        empty = []
        for worker in Worker.all(connection=redis):
            common = [name for name in worker.queue_names() if name in names]
            if common and worker.get_state() == "idle":
                empty.append(Queue(common[0], connection=redis).enqueue(
                    "time.sleep", 0, at_front=True, result_ttl=0, failure_ttl=1))
        ours = {job.id for job in empty}
        taken = min(end, time.monotonic() + 5)
        try:
            while True:
                queued = {id for name in names for id in Queue(name, connection=redis).job_ids}
                started = {id for name in names for id in
                           StartedJobRegistry(name, connection=redis).get_job_ids()}
                count = len(started - ours)
                show(count)
                idle = ours & (queued | started) and time.monotonic() < taken
                if (not count and not idle) or time.monotonic() > end:
                    break
                time.sleep(0.2)
        finally:
            for job in empty:
                try:
                    job.delete()
                except Exception:
                    pass  # it was done


def celery():
    from celery import Celery
    app = Celery(broker=url)
    app.conf.broker_connection_timeout = 5
    app.conf.broker_transport_options = {"socket_connect_timeout": 5}
    workers = told.get("workers", {})
    if word == "find":
        # Who takes from a queue now: only these may be told to take from it again. Nobody may mean
        # that all are slow to answer: asked again.
        found = {name: set() for name in names}
        for _ in range(3):
            answer = app.control.inspect(timeout=2).active_queues() or {}
            for worker, takes in answer.items():
                for name in {queue["name"] for queue in takes or []} & set(names):
                    found[name].add(worker)
            if all(found.values()):
                break
        print(json.dumps({name: sorted(those) for name, those in found.items()}), flush=True)
    elif word in ("pause", "resume"):
        tell = app.control.cancel_consumer if word == "pause" else app.control.add_consumer
        for name, those in workers.items():
            left = set(those)
            for _ in range(5 if word == "pause" else 2):
                if left:
                    answers = tell(name, destination=sorted(left), reply=True, timeout=3,
                                   limit=len(left))
                    left -= {worker for answer in answers or [] for worker in answer}
            # Whoever did not say so may take another job; to go on, one that ended need not.
            if left and word == "pause":
                sys.exit("no answer from " + ", ".join(sorted(left)))
    elif word == "watch":
        everyone = sorted({worker for those in workers.values() for worker in those})
        silent = dict.fromkeys(everyone, 0)
        while everyone:
            ask = app.control.inspect(destination=everyone, timeout=2, limit=len(everyone))
            answers = [ask.active() or {}, ask.reserved() or {}]
            count = sum(task["delivery_info"].get("routing_key") in names
                        for answer in answers for tasks in answer.values() for task in tasks)
            for worker in everyone:
                silent[worker] = 0 if worker in answers[0] else silent[worker] + 1
            count += sum(0 < times < 6 for times in silent.values())  # later it is gone
            show(count)
            if not count or time.monotonic() > end:
                break
            time.sleep(0.2)
        else:
            show(0)


def cache():
    from redis import Redis
    redis = Redis.from_url(url, socket_connect_timeout=5)
    dropped = 0
    for prefix in told["prefixes"]:
        if not prefix or set(prefix) & set("*?[]\\"):
            sys.exit("a prefix is empty or has wildcards")
        keys = []
        for key in redis.scan_iter(match=prefix + "*", count=1000):
            keys.append(key)
            if len(keys) == 500:
                dropped += redis.unlink(*keys)
                keys = []
        if keys:
            dropped += redis.unlink(*keys)
    show(dropped)


if not url:
    sys.exit(told["url"] + " is not set there")
try:
    {"rq": rq, "celery": celery, "cache": cache}[told["kind"]]()
except Exception as error:
    text = type(error).__name__ + ": " + str(error)
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    for secret in (url, password):
        if secret:
            text = text.replace(secret, "***")
    sys.exit(text)
)py";

}    // namespace seatrial::release
