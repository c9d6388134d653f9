"""What every peer in Python does: the conversation of a client, and the orders that a server obeys.

A peer is a module with `connect(options)`, `serve(options, handle)` or both. What they hand out
are talkers, with these methods; one that the peer has no way to offer raises `Absent`:

- `subprotocol`, `send(str | bytes)`, `recv() -> str | bytes`,
- `send_fragments(parts)`: a text message, a frame for each part,
- `ping(octets)`: returns once the pong is known to be there,
- `close(code, reason)`, and `closed() -> (code, reason)` as the peer tells it.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass


class Absent(Exception):
    """The peer has no such thing."""


class Ended(Exception):
    """There will be no further message."""


@dataclass(frozen=True)
class Options:
    url: str  # Of the server; a server's own has the port 0.
    deflate: str  # "off", "takeover", or "none" for no context takeover.
    ca: str | None  # A file: whom a client believes.
    chain: str | None  # Files: what a server shows.
    key: str | None

    def client_tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca) if self.ca else None

    def server_tls(self) -> ssl.SSLContext | None:
        if self.chain is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


def tell(line: str) -> None:
    print(line, flush=True)


async def converse(connect, options: Options) -> None:
    """Holds the conversation and tells what came of it."""
    talker = await patiently(connect(options))
    tell(f"subprotocol {talker.subprotocol}")
    await tell_answer("text", talker, TEXT)
    for name, payload in (("binary", octets(256)), ("1 MiB", octets(1 << 20))):
        await talker.send(payload)
        same = await patiently(talker.recv()) == payload
        tell(f"{name} {'same' if same else 'differs'}")
    answers = []
    for _ in range(2):
        await talker.send(digits())
        answers.append(await patiently(talker.recv()))
    tell(f"twice {'same' if answers == [digits()] * 2 else 'differs'}")
    await tell_answer("fragments in", talker, "!fragments")
    try:
        await talker.send_fragments(["frag", "ment", "ed"])
        tell(f"fragments out {await patiently(talker.recv())}")
    except Absent:
        tell("fragments out absent")
    await patiently(talker.ping(b"from client"))
    tell("ping out answered")
    await tell_answer("ping in", talker, "!ping")
    await patiently(talker.close(4000, "from client"))
    code, reason = await patiently(talker.closed())
    tell(f"close out {code} {reason}")

    talker = await patiently(connect(options))
    await talker.send("!close")
    try:
        tell(f"close in: a message came, {await patiently(talker.recv())!r}")
    except Ended:
        code, reason = await patiently(talker.closed())
        tell(f"close in {code} {reason}")


async def tell_answer(name: str, talker, text: str) -> None:
    await talker.send(text)
    tell(f"{name} {await patiently(talker.recv())}")


async def obey(talker) -> None:
    """Serves one connection to its end."""
    try:
        while True:
            message = await talker.recv()
            if message == "!fragments":
                try:
                    await talker.send_fragments(["one ", "two ", "three"])
                except Absent:
                    await talker.send("absent")
            elif message == "!ping":
                await talker.ping(b"from server")
                await talker.send("!pong")
            elif message == "!close":
                await talker.close(4001, "from server")
            else:
                await talker.send(message)
    except Ended:
        code, reason = await patiently(talker.closed())
        tell(f"closed {code} {reason}")


async def patiently(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


def digits() -> str:
    """Two kibibytes that hardly compress by themselves, and well as a repetition."""
    state, found = 1, []
    for _ in range(2048):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        found.append("0123456789abcdef"[(state >> 16) & 15])
    return "".join(found)


def octets(count: int) -> bytes:
    """Octets of every value, which compress."""
    return bytes((i * 31 + (i >> 8)) & 255 for i in range(count))


class Mailbox:
    """For peers with callbacks: messages, pongs and the end, to be waited for."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue = asyncio.Queue()
        self._pongs: asyncio.Queue = asyncio.Queue()
        self._end: asyncio.Future = asyncio.get_running_loop().create_future()

    def put(self, message) -> None:
        self._messages.put_nowait(message)

    def put_pong(self, payload: bytes) -> None:
        self._pongs.put_nowait(payload)

    def end(self, code, reason) -> None:
        if not self._end.done():
            self._end.set_result((code, reason))
            self._messages.put_nowait(Ended)

    async def recv(self):
        message = await self._messages.get()
        if message is Ended:
            self._messages.put_nowait(Ended)
            raise Ended
        return message

    async def pong(self, payload: bytes) -> None:
        got = await self._pongs.get()
        if got != payload:
            raise AssertionError(f"a pong of {got!r} for a ping of {payload!r}")

    async def closed(self):
        return await asyncio.shield(self._end)


TEXT = "grüße, 😀"
PATIENCE = 20.0
