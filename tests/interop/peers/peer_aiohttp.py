"""The package `aiohttp`."""

from __future__ import annotations

from aiohttp import ClientSession, WSMsgType, web
from script import Absent, Ended, Options, obey


class Talker:
    def __init__(self, ws, session=None) -> None:
        self.ws = ws
        self.session = session
        self.subprotocol = getattr(ws, "protocol", None) or ws.ws_protocol
        self.end = None

    async def send(self, message) -> None:
        await (self.ws.send_str if isinstance(message, str) else self.ws.send_bytes)(message)

    async def recv(self):
        message = await self.ws.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return message.data
        if message.type is WSMsgType.CLOSE:
            self.end = message.data, message.extra
        raise Ended

    async def send_fragments(self, parts) -> None:
        raise Absent

    async def ping(self, payload: bytes) -> None:
        # It swallows pongs, unless it is left to the caller to answer pings; but they come in order.
        await self.ws.ping(payload)
        if self.session is not None:
            await self.send("after the ping")
            await self.recv()

    async def close(self, code: int, reason: str) -> None:
        await self.ws.close(code=code, message=reason.encode())

    async def closed(self):
        if self.session is not None:
            await self.session.close()
        return self.end or (self.ws.close_code, "")


async def connect(options: Options) -> Talker:
    session = ClientSession()
    ws = await session.ws_connect(
        options.url,
        protocols=["superchat", "chat"],
        compress=0 if options.deflate == "off" else 15,
        ssl=options.client_tls() or True,
    )
    return Talker(ws, session)


async def serve(options: Options):
    async def handle(request):
        ws = web.WebSocketResponse(protocols=["chat"], compress=options.deflate != "off")
        await ws.prepare(request)
        await obey(Talker(ws))
        return ws

    application = web.Application()
    application.router.add_get("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=options.server_tls())
    await site.start()
    return runner, runner.addresses[0][1]
