"""The package `picows`, its own face, which hands out frames."""

from __future__ import annotations

import asyncio

from picows import (
    WSListener,
    WSMsgType,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)
from script import Mailbox, Options, obey


class Talker(WSListener):
    """Puts the frames of a message together, and answers close frames, which is left to users."""

    def __init__(self, opened=None) -> None:
        self.mailbox = Mailbox()
        self.opened = opened
        self.subprotocol = None
        self.kind = None
        self.parts = []

    def on_ws_connected(self, transport) -> None:
        self.transport = transport
        self.subprotocol = transport.response.headers.get("Sec-WebSocket-Protocol")
        if self.opened:
            self.opened(self)

    def on_ws_frame(self, transport, frame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.PONG:
            self.mailbox.put_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            code = frame.get_close_code()
            reason = frame.get_close_reason() or ""
            if not transport.is_close_frame_sent:
                transport.send_close(code, reason.encode())
            self.mailbox.end(int(code), reason)
            transport.disconnect()
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self.take(frame)

    def on_ws_disconnected(self, transport) -> None:
        self.mailbox.end(1006, "")

    def take(self, frame) -> None:
        if frame.msg_type != WSMsgType.CONTINUATION:
            self.kind = frame.msg_type
        self.parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            message = b"".join(self.parts)
            self.parts = []
            self.mailbox.put(message.decode() if self.kind == WSMsgType.TEXT else message)

    async def send(self, message) -> None:
        text = isinstance(message, str)
        kind = WSMsgType.TEXT if text else WSMsgType.BINARY
        self.transport.send(kind, message.encode() if text else message)

    async def send_fragments(self, parts) -> None:
        for number, part in enumerate(parts):
            kind = WSMsgType.CONTINUATION if number else WSMsgType.TEXT
            self.transport.send(kind, part.encode(), number == len(parts) - 1)

    async def recv(self):
        return await self.mailbox.recv()

    async def ping(self, payload: bytes) -> None:
        self.transport.send_ping(payload)
        await self.mailbox.pong(payload)

    async def close(self, code: int, reason: str) -> None:
        self.transport.send_close(code, reason.encode())

    async def closed(self):
        return await self.mailbox.closed()


async def connect(options: Options) -> Talker:
    _, talker = await ws_connect(
        Talker,
        options.url,
        ssl_context=options.client_tls(),
        extra_headers={"Sec-WebSocket-Protocol": "superchat, chat"},
    )
    return talker


async def serve(options: Options):
    tasks = set()

    def opened(talker) -> None:
        tasks.add(asyncio.get_running_loop().create_task(obey(talker)))

    def accept(request):
        asked = request.headers.get("Sec-WebSocket-Protocol", "")
        extra = {"Sec-WebSocket-Protocol": "chat"} if "chat" in asked else {}
        response = WSUpgradeResponse.create_101_response(extra)
        return WSUpgradeResponseWithListener(response, Talker(opened))

    server = await ws_create_server(accept, "127.0.0.1", 0, ssl=options.server_tls())
    return server, server.sockets[0].getsockname()[1]
