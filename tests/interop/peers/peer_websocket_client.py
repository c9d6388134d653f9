"""The package `websocket-client`, which is for clients only and blocks."""

from __future__ import annotations

import struct

import websocket
from script import Ended, Options
from websocket import ABNF


class Talker:
    def __init__(self, ws) -> None:
        self.ws = ws
        self.subprotocol = ws.getsubprotocol()
        self.end = None

    async def send(self, message) -> None:
        self.ws.send(message) if isinstance(message, str) else self.ws.send_binary(message)

    async def recv(self):
        opcode, payload = self.ws.recv_data(control_frame=True)
        while opcode in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
            opcode, payload = self.ws.recv_data(control_frame=True)
        if opcode == ABNF.OPCODE_CLOSE:
            self._note(payload)
            raise Ended
        return payload.decode() if opcode == ABNF.OPCODE_TEXT else payload

    async def send_fragments(self, parts) -> None:
        for number, part in enumerate(parts):
            opcode = ABNF.OPCODE_CONT if number else ABNF.OPCODE_TEXT
            self.ws.send_frame(ABNF.create_frame(part, opcode, int(number == len(parts) - 1)))

    async def ping(self, payload: bytes) -> None:
        self.ws.ping(payload)
        got = self.ws.recv_data(control_frame=True)
        if got != (ABNF.OPCODE_PONG, payload):
            raise AssertionError(f"{got!r} for a ping of {payload!r}")

    async def close(self, code: int, reason: str) -> None:
        self.ws.send_close(code, reason.encode())
        # `recv_data` would answer the answer; the package's own `close` reads frames as this does.
        frame = self.ws.recv_frame()
        if frame.opcode != ABNF.OPCODE_CLOSE:
            raise AssertionError(f"opcode {frame.opcode} after the close frame")
        self._note(frame.data)
        self.ws.shutdown()

    async def closed(self):
        return self.end

    def _note(self, payload: bytes) -> None:
        self.end = struct.unpack("!H", payload[:2])[0], payload[2:].decode()


async def connect(options: Options) -> Talker:
    ws = websocket.create_connection(
        options.url,
        timeout=20,
        subprotocols=["superchat", "chat"],
        sslopt={"ca_certs": options.ca} if options.ca else None,
    )
    return Talker(ws)
