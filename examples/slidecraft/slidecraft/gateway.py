"""The API: decks come in, their jobs go to the workers, progress and files come out."""
import json
import os
import re
import secrets

import redis
import redis.asyncio
import uvicorn
from rq import Queue, Retry
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from .export import export
from .store import FOLDER, URL, count, db, queue_name, tell

LARGEST = 5 << 20    # bytes
jobs = redis.Redis.from_url(URL)
live = redis.asyncio.Redis.from_url(URL, decode_responses=True)


def state_of(request):
    deck = request.path_params["deck"]
    state = db.hget(f"deck:{deck}", "state")
    if state is None:
        raise HTTPException(404, "there is no such deck")
    return deck, state


def accept(text, own):
    deck = secrets.token_hex(8)
    (FOLDER / f"{deck}.md").write_bytes(text)
    tell(deck, "queued")
    Queue(queue_name("convert", own), connection=jobs).enqueue(
        "slidecraft.convert.convert", deck, retry=Retry(max=3), result_ttl=0)
    count("uploads_total", "convert")
    return deck


async def upload(request):
    async with request.form(max_files=1) as form:
        if not hasattr(form.get("deck"), "read"):
            raise HTTPException(422, "send a file as the field 'deck'")
        text = await form["deck"].read(LARGEST + 1)
    if not 0 < len(text) <= LARGEST:
        raise HTTPException(413, "a deck has 1 byte to 5 MB")
    deck = await run_in_threadpool(accept, text, "own" in request.query_params)
    return JSONResponse({"id": deck}, 202)


def show(request):
    deck, state = state_of(request)
    return JSONResponse({"id": deck, "state": state})


def start_export(request):
    deck, state = state_of(request)
    if state not in ("converted", "exported"):
        raise HTTPException(409, f"the deck is {state}")
    tell(deck, "exporting")
    export.apply_async([deck], queue=queue_name("export", "own" in request.query_params))
    return JSONResponse({"id": deck}, 202)


def download(request):
    deck, _ = state_of(request)
    path = FOLDER / f"{deck}.pdf"
    if not path.exists():
        raise HTTPException(404, "the deck is not exported")
    return FileResponse(path, media_type="application/pdf", filename="deck.pdf")


async def events(request):
    """From the first event, or behind the one that the client saw last. The client ends it."""
    deck, _ = await run_in_threadpool(state_of, request)
    last = request.headers.get("last-event-id", "")
    return StreamingResponse(follow(f"deck:{deck}:events", last), media_type="text/event-stream",
                             headers={"cache-control": "no-cache"})


async def follow(stream, last):
    last = last if re.fullmatch(r"\d+-\d+", last) else "0-0"
    while True:
        answer = await live.xread({stream: last}, block=10_000)
        if not answer:
            yield ": still here\n\n"
        for last, event in answer[0][1] if answer else []:
            yield f"id: {last}\ndata: {json.dumps(event)}\n\n"


def metrics(_):
    lines = [f"{name} {value}\n" for name, value in sorted(db.hgetall("metrics").items())]
    return PlainTextResponse("".join(lines), media_type="text/plain; version=0.0.4")


def healthz(_):
    return PlainTextResponse("ok")


def readyz(_):
    db.ping()
    return PlainTextResponse("ready")


app = Starlette(routes=[
    Route("/api/decks", upload, methods=["POST"]),
    Route("/api/decks/{deck}", show),
    Route("/api/decks/{deck}/events", events),
    Route("/api/decks/{deck}/export", start_export, methods=["POST"]),
    Route("/api/decks/{deck}/deck.pdf", download),
    Route("/api/metrics", metrics),
    Route("/api/healthz", healthz),
    Route("/api/readyz", readyz),
])

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]), timeout_graceful_shutdown=5)
