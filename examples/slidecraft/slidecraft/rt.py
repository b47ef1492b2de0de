"""Who looks at the same deck hears each other, whichever release and instance they are connected
to."""
import asyncio
import contextlib
import os

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from .store import URL

live = redis.asyncio.Redis.from_url(URL, decode_responses=True)


async def hear(channel, socket):
    async for message in channel.listen():
        if message["type"] == "message":
            await socket.send_text(message["data"])


async def room(socket):
    name = f"rt:{socket.path_params['deck']}"
    async with live.pubsub() as channel:
        await channel.subscribe(name)
        await socket.accept()
        hearing = asyncio.create_task(hear(channel, socket))
        try:
            async for text in socket.iter_text():
                await live.publish(name, text)
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing


def healthz(_):
    return PlainTextResponse("ok")


app = Starlette(routes=[WebSocketRoute("/rt/decks/{deck}", room), Route("/rt/healthz", healthz)])

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]), timeout_graceful_shutdown=5,
                ws_max_size=64 << 10)
