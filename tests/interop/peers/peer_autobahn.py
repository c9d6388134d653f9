"""The package `autobahn`, on asyncio."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from autobahn.asyncio.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponseAccept,
)
from script import Mailbox, Options, obey


class Talking:
    """What both protocols have in common: callbacks into a mailbox."""

    def onConnecting(self, details):
        self.mailbox = Mailbox()

    def onOpen(self):
        self.subprotocol = self.websocket_protocol_in_use
        self.factory.opened(self)

    def onMessage(self, payload, isBinary):
        self.mailbox.put(payload if isBinary else payload.decode())

    def onPong(self, payload):
        self.mailbox.put_pong(payload)

    def onClose(self, wasClean, code, reason):
        if hasattr(self, "mailbox"):
            self.mailbox.end(code, self.remoteCloseReason if wasClean else reason)
        if not self.factory.waiting.done():
            self.factory.waiting.set_exception(ConnectionError(f"{code} {reason}"))

    async def send(self, message):
        self.sendMessage(*((message, True) if isinstance(message, bytes) else (message.encode(),)))

    async def send_fragments(self, parts):
        self.beginMessage()
        for part in parts:
            self.sendMessageFrame(part.encode())
        self.endMessage()

    async def recv(self):
        return await self.mailbox.recv()

    async def ping(self, payload):
        self.sendPing(payload)
        await self.mailbox.pong(payload)

    async def close(self, code, reason):
        self.sendClose(code, reason)

    async def closed(self):
        return await self.mailbox.closed()


class Client(Talking, WebSocketClientProtocol):
    pass


class Server(Talking, WebSocketServerProtocol):
    def onConnect(self, request):
        self.mailbox = Mailbox()
        return "chat" if "chat" in request.protocols else None


async def connect(options: Options) -> Client:
    factory = WebSocketClientFactory(options.url, protocols=["superchat", "chat"])
    factory.protocol = Client
    factory.waiting = asyncio.get_running_loop().create_future()
    factory.opened = lambda talker: factory.waiting.done() or factory.waiting.set_result(talker)
    forget = options.deflate == "none"
    if options.deflate != "off":
        # The hint that it would accept to forget makes it forget (RFC 7692 §7.1.1.2).
        offer = PerMessageDeflateOffer(
            accept_no_context_takeover=forget, request_no_context_takeover=forget
        )
        factory.setProtocolOptions(
            perMessageCompressionOffers=[offer],
            perMessageCompressionAccept=lambda response: PerMessageDeflateResponseAccept(
                response, no_context_takeover=forget or None
            ),
        )
    url = urlsplit(options.url)
    loop = asyncio.get_running_loop()
    tls = options.client_tls()
    await loop.create_connection(factory, url.hostname, url.port, ssl=tls)
    return await factory.waiting


async def serve(options: Options):
    factory = WebSocketServerFactory(protocols=["chat"])
    factory.protocol = Server
    factory.waiting = asyncio.get_running_loop().create_future()
    tasks = set()

    def opened(talker):
        tasks.add(asyncio.get_running_loop().create_task(obey(talker)))

    factory.opened = opened
    forget = options.deflate == "none"
    if options.deflate != "off":

        def accept(offers):
            return PerMessageDeflateOfferAccept(
                offers[0], request_no_context_takeover=forget, no_context_takeover=forget or None
            )

        factory.setProtocolOptions(perMessageCompressionAccept=accept)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=options.server_tls())
    return server, server.sockets[0].getsockname()[1]
