"""The packages `h2` and `wsproto` as a client of our server: `h2_wsproto.py URL [CA] [deflate]`.

Holds the conversation of `script.py`, both of its connections on one of TCP.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
from script import Mailbox, Options, converse  # noqa: E402


class Session:
    """A connection of HTTP/2, and what runs over it."""

    def __init__(self, reader, writer, authority: str, scheme: str) -> None:
        self.reader, self.writer = reader, writer
        self.authority, self.scheme = authority, scheme
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.streams: dict[int, Talker] = {}
        self.has_settings = asyncio.Event()
        self.moved = asyncio.Condition()

    async def begin(self) -> None:
        self.h2.initiate_connection()
        await self.flush()
        self.reading = asyncio.create_task(self.read())
        await self.has_settings.wait()
        if self.h2.remote_settings.enable_connect_protocol != 1:
            raise AssertionError("the server's settings do not allow WebSockets")

    async def read(self) -> None:
        while octets := await self.reader.read(1 << 16):
            for event in self.h2.receive_data(octets):
                await self.take(event)
            await self.flush()
            async with self.moved:
                self.moved.notify_all()
        for talker in self.streams.values():
            talker.mailbox.end(1006, "")

    async def take(self, event) -> None:
        talker = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, RemoteSettingsChanged):
            self.has_settings.set()
        elif isinstance(event, ResponseReceived):
            talker.response.set_result(dict(event.headers))
        elif isinstance(event, DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            # The end of a stream may come with no octets.
            if event.data:
                await talker.receive(event.data)
        elif isinstance(event, StreamEnded):
            talker.mailbox.end(1006, "")
            self.h2.end_stream(event.stream_id)
        elif isinstance(event, StreamReset):
            raise AssertionError(f"RST_STREAM with {event.error_code}")
        elif isinstance(event, ConnectionTerminated):
            raise AssertionError(f"GOAWAY with {event.error_code}")
        else:
            assert isinstance(event, WindowUpdated) or talker is None, event

    async def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def send(self, stream: int, octets: bytes) -> None:
        """Sends as windows allow."""
        while octets:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                async with self.moved:
                    await self.moved.wait()
                continue
            self.h2.send_data(stream, octets[:room])
            octets = octets[room:]
            await self.flush()


class Talker:
    def __init__(self, session: Session, stream: int, extension: PerMessageDeflate | None) -> None:
        self.session, self.stream, self.extension = session, stream, extension
        self.response = asyncio.get_running_loop().create_future()
        self.mailbox = Mailbox()
        self.parts: list = []
        self.sending: list[asyncio.Task] = []

    async def open(self) -> None:
        headers = await self.response
        if headers[":status"] != "200":
            raise AssertionError(f"answered with {headers}")
        chosen = headers.get("sec-websocket-extensions")
        if (chosen is not None) != (self.extension is not None):
            raise AssertionError(f"extensions {chosen}")
        if self.extension:
            self.extension.finalize(chosen)
        self.ws = Connection(ConnectionType.CLIENT, [self.extension] if self.extension else [])
        self.subprotocol = headers.get("sec-websocket-protocol")

    async def receive(self, octets: bytes) -> None:
        self.ws.receive_data(octets)
        for event in self.ws.events():
            if isinstance(event, Message):
                self.parts.append(event.data)
                if event.message_finished:
                    self.mailbox.put(type(event.data)().join(self.parts))
                    self.parts.clear()
            elif isinstance(event, Ping):
                self.answer(event.response())
            elif isinstance(event, Pong):
                self.mailbox.put_pong(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                self.mailbox.end(int(event.code), event.reason or "")
                if self.ws.state.name == "REMOTE_CLOSING":
                    self.answer(event.response())

    def answer(self, event) -> None:
        """Sends aside: who reads must not wait for a window."""
        self.sending.append(asyncio.create_task(self.put(event)))

    async def put(self, event) -> None:
        await self.session.send(self.stream, self.ws.send(event))

    async def send(self, message) -> None:
        kind = TextMessage if isinstance(message, str) else BytesMessage
        await self.put(kind(data=message))

    async def recv(self):
        return await self.mailbox.recv()

    async def send_fragments(self, parts) -> None:
        for number, part in enumerate(parts, start=1):
            await self.put(TextMessage(data=part, message_finished=number == len(parts)))

    async def ping(self, payload: bytes) -> None:
        await self.put(Ping(payload=payload))
        await self.mailbox.pong(payload)

    async def close(self, code: int, reason: str) -> None:
        await self.put(CloseConnection(code=code, reason=reason))

    async def closed(self):
        return await self.mailbox.closed()


async def run(url: str, ca: str | None, deflate: bool) -> None:
    parts = urlsplit(url)
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    session = Session(reader, writer, parts.netloc, parts.scheme)
    await session.begin()

    async def connect(_) -> Talker:
        extension = PerMessageDeflate() if deflate else None
        stream = session.h2.get_next_available_stream_id()
        talker = session.streams[stream] = Talker(session, stream, extension)
        headers = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", session.scheme),
            (":authority", session.authority),
            (":path", "/"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "superchat, chat"),
        ]
        if extension:
            offer = f"permessage-deflate; {extension.offer()}"
            headers.append(("sec-websocket-extensions", offer))
        session.h2.send_headers(stream, headers)
        await session.flush()
        await talker.open()
        return talker

    await converse(connect, Options(url, "off", ca, None, None))
    for talker in session.streams.values():
        await asyncio.gather(*talker.sending)


if __name__ == "__main__":
    words = sys.argv[1:]
    has_deflate = "deflate" in words
    url, ca = ([word for word in words if word != "deflate"] + [None])[:2]
    asyncio.run(run(url, ca, has_deflate))
