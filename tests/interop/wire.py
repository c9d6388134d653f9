"""Listens in: relays connections, keeps what goes by, and reads it as WebSocket frames (RFC 6455 §5).

Depends on neither of the two that talk, so what it saw is proof of what they did.
"""

from __future__ import annotations

import socket
import threading
import zlib
from dataclasses import dataclass, field


@dataclass
class Frame:
    is_final: bool
    rsv1: bool
    opcode: int
    payload: bytes  # Unmasked, still compressed.


@dataclass
class Message:
    opcode: int
    frames: list[Frame]
    payload: bytes  # Inflated.

    @property
    def is_compressed(self) -> bool:
        return self.frames[0].rsv1

    @property
    def wire_size(self) -> int:
        return sum(len(frame.payload) for frame in self.frames)


@dataclass
class Direction:
    """What one end sent."""

    octets: bytearray = field(default_factory=bytearray)

    def head(self) -> str:
        return bytes(self.octets).partition(b"\r\n\r\n")[0].decode("latin-1")

    def header(self, name: str) -> str:
        """The values of a header of the opening handshake, joined; empty if there is none."""
        lines = (line.partition(":") for line in self.head().split("\r\n")[1:])
        return ", ".join(value.strip() for key, _, value in lines if key.lower() == name)

    def frames(self) -> list[Frame]:
        rest = memoryview(bytes(self.octets).partition(b"\r\n\r\n")[2])
        frames = []
        while len(rest) >= 2:
            size, at = rest[1] & 0x7F, 2
            if size > 125:
                at = 4 if size == 126 else 10
                size = int.from_bytes(rest[2:at], "big")
            key = bytes(rest[at : at + 4]) if rest[1] & 0x80 else b""
            at += len(key)
            payload = bytes(rest[at : at + size])
            if len(payload) < size:
                break
            frames.append(
                Frame(bool(rest[0] & 0x80), bool(rest[0] & 0x40), rest[0] & 15, unmask(payload, key))
            )
            rest = rest[at + size :]
        return frames

    def messages(self) -> list[Message]:
        # RFC 7692 §7.2.2. A window that is kept serves those who forget theirs as well.
        inflate = zlib.decompressobj(-15)
        messages, parts = [], []
        for frame in self.frames():
            if frame.opcode >= 8:
                continue
            parts.append(frame)
            if not frame.is_final:
                continue
            payload = b"".join(part.payload for part in parts)
            if parts[0].rsv1:
                payload = inflate.decompress(payload + b"\x00\x00\xff\xff")
            messages.append(Message(parts[0].opcode, parts, payload))
            parts = []
        return messages

    def controls(self, opcode: int) -> list[bytes]:
        return [frame.payload for frame in self.frames() if frame.opcode == opcode]


@dataclass
class Recording:
    client: Direction = field(default_factory=Direction)
    server: Direction = field(default_factory=Direction)


class Tap:
    """A port of the loopback that leads to another one, with recordings of what goes by."""

    def __init__(self, target: int):
        self.target = target
        self.recordings: list[Recording] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections and waits for those there are to end."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            recording = Recording()
            self.recordings.append(recording)
            for source, sink, direction in (
                (client, server, recording.client),
                (server, client, recording.server),
            ):
                relay = threading.Thread(target=_relay, args=(source, sink, direction), daemon=True)
                self._threads.append(relay)
                relay.start()


def _relay(source: socket.socket, sink: socket.socket, direction: Direction) -> None:
    try:
        while octets := source.recv(65536):
            direction.octets += octets
            sink.sendall(octets)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def unmask(payload: bytes, key: bytes) -> bytes:
    if not key:
        return payload
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return number.to_bytes(len(payload), "big")
