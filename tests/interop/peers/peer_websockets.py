"""The package `websockets`, its asyncio face."""

from __future__ import annotations

from script import Ended, Options, obey
from websockets.asyncio.client import connect as open_connection
from websockets.asyncio.server import serve as start_server
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)


class Talker:
    def __init__(self, ws) -> None:
        self.ws = ws
        self.subprotocol = ws.subprotocol

    async def send(self, message) -> None:
        await self.ws.send(message)

    async def recv(self):
        try:
            return await self.ws.recv()
        except ConnectionClosed:
            raise Ended from None

    async def send_fragments(self, parts) -> None:
        await self.ws.send(parts)

    async def ping(self, payload: bytes) -> None:
        await (await self.ws.ping(payload))

    async def close(self, code: int, reason: str) -> None:
        await self.ws.close(code, reason)

    async def closed(self):
        await self.ws.wait_closed()
        return self.ws.close_code, self.ws.close_reason


async def connect(options: Options) -> Talker:
    ws = await open_connection(
        options.url,
        subprotocols=["superchat", "chat"],
        ssl=options.client_tls(),
        proxy=None,
        **_deflate(options, ClientPerMessageDeflateFactory),
    )
    return Talker(ws)


async def serve(options: Options):
    async def handle(ws) -> None:
        await obey(Talker(ws))

    server = await start_server(
        handle,
        "127.0.0.1",
        0,
        subprotocols=["chat"],
        ssl=options.server_tls(),
        **_deflate(options, ServerPerMessageDeflateFactory),
    )
    return server, server.sockets[0].getsockname()[1]


def _deflate(options: Options, factory) -> dict:
    if options.deflate == "off":
        return {"compression": None}
    if options.deflate == "takeover":
        return {}  # Its default.
    forgetful = factory(server_no_context_takeover=True, client_no_context_takeover=True)
    return {"extensions": [forgetful], "compression": None}
