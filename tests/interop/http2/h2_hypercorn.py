"""The package `hypercorn` as a server to our client: `h2_hypercorn.py [CHAIN KEY]`.

An ASGI server frames messages as it likes, and keeps pings to itself.
"""

from __future__ import annotations

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send) -> None:
    if scope["type"] == "websocket":
        print(f"asked over HTTP/{scope['http_version']}.0", flush=True)
        await receive()
        await (PLACES.get(scope["path"]) or obey)(scope, receive, send)


async def obey(scope, receive, send) -> None:
    host, port = scope["client"]
    print(f"open tcp4:{host}:{port}", flush=True)
    subprotocol = "chat" if "chat" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    answers = {"!fragments": "one two three", "!ping": "!pong"}
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        if text == "!close":
            await send({"type": "websocket.close", "code": 4001, "reason": "from server"})
        else:
            answer = {**event, "text": answers.get(text, text)}
            await send({**answer, "type": "websocket.send"})
    print("closed", flush=True)


async def deny(scope, receive, send) -> None:
    await refuse(send, 403, b"not here\n")


async def miss(scope, receive, send) -> None:
    await refuse(send, 404, b"no such room\n")


async def refuse(send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain")]
    start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


PLACES = {"/denied": deny, "/missing": miss}

if __name__ == "__main__":
    config = Config()
    config.bind = ["127.0.0.1:0"]
    if len(sys.argv) > 1:
        config.certfile, config.keyfile = sys.argv[1:3]
    asyncio.run(serve(app, config))
