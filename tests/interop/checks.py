"""What must have been said, and what must have gone over the wire."""

from __future__ import annotations

import sys
from pathlib import Path

from wire import Direction, Recording

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from script import TEXT, digits, octets  # noqa: E402

# What a client tells; the codes and reasons are those of the script.
SAYINGS = {
    "subprotocol": "chat",
    "text": TEXT,
    "binary": "same",
    "1 MiB": "same",
    "twice": "same",
    "fragments in": "one two three",
    "fragments out": "fragmented",
    "ping out": "answered",
    "ping in": "!pong",
    "close out": "4000 from client",
    "close in": "4001 from server",
}


class Wrong(Exception):
    """Something is not as it must be; the text says what."""


def expect(claim: bool, text: str) -> None:
    if not claim:
        raise Wrong(text)


def sayings(output: str) -> dict[str, str]:
    """What a client told, by the name of the step."""
    found = {}
    for line in output.splitlines():
        for name in SAYINGS:
            if line.startswith(name + " "):
                found[name] = line[len(name) + 1 :]
    return found


def check_saying(said: dict[str, str], name: str, answer: int) -> None:
    got = said.get(name)
    wanted = [SAYINGS[name]]
    if name == "close out":
        # Servers need not repeat the reason, and clients need not tell of it.
        wanted = [f"{answer} from client", f"{answer} "]
    expect(got in wanted, f"the client says {got!r} about {name}")


def check_client(status: int | None, output: str, absent: set[str], answer: int = 4000) -> None:
    """Checks that a client came to the end of the conversation, and all that it tells."""
    end = "\n".join(output.splitlines()[-8:])
    expect(status == 0, f"the client ended with status {status}:\n{end}")
    said = sayings(output)
    for name in set(SAYINGS).difference(absent):
        check_saying(said, name, answer)


def check_wire(name: str, recordings: list[Recording]) -> None:
    """Checks a step of the conversation without compression."""
    expect(len(recordings) == 2, f"{len(recordings)} connections")
    first, second = recordings
    steps = {
        "subprotocol": lambda: check_subprotocol(first),
        "text": lambda: check_both(first, 1, TEXT.encode()),
        "binary": lambda: check_both(first, 2, octets(256)),
        "1 MiB": lambda: check_both(first, 2, octets(1 << 20)),
        "twice": lambda: check_both(first, 1, digits().encode()),
        "fragments in": lambda: check_fragments(first.server, [b"one ", b"two ", b"three"]),
        "fragments out": lambda: check_fragments(first.client, [b"frag", b"ment", b"ed"]),
        "ping out": lambda: check_ping(first.client, first.server, b"from client"),
        "ping in": lambda: check_ping(first.server, first.client, b"from server"),
        "close out": lambda: check_close(first.client, first.server, 4000, b"from client"),
        "close in": lambda: check_close(second.server, second.client, 4001, b"from server"),
    }
    steps[name]()


def check_subprotocol(recording: Recording) -> None:
    asked = recording.client.header("sec-websocket-protocol")
    expect("superchat" in asked and "chat" in asked, f"asked for {asked!r}")
    got = recording.server.header("sec-websocket-protocol")
    expect(got == "chat", f"the server chose {got!r}")


def check_both(recording: Recording, opcode: int, payload: bytes) -> None:
    for end, direction in (("client", recording.client), ("server", recording.server)):
        sent = any((m.opcode, m.payload) == (opcode, payload) for m in direction.messages())
        expect(sent, f"the {end} did not send it with opcode {opcode}")


def check_fragments(direction: Direction, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    found = [m for m in direction.messages() if m.payload == whole]
    split = [[f.payload for f in m.frames if f.payload] for m in found]
    expect(parts in split, f"no message in frames of {parts}, but {split}")


def check_ping(asking: Direction, answering: Direction, payload: bytes) -> None:
    expect(payload in asking.controls(9), f"no ping but {asking.controls(9)}")
    expect(payload in answering.controls(10), f"no pong but {answering.controls(10)}")


def check_close(closing: Direction, answering: Direction, code: int, reason: bytes) -> None:
    frame = code.to_bytes(2, "big") + reason
    expect(closing.controls(8) == [frame], f"close frames {closing.controls(8)}")
    expect(len(answering.controls(8)) == 1, f"answered by {answering.controls(8)}")
    expect(closing.frames()[-1].opcode == 8, "something was sent after the close frame")


def check_server_log(output: str) -> None:
    """Checks the codes and reasons that the server tells."""
    closed = [line for line in output.splitlines() if line.startswith("closed ")]
    expect(len(closed) == 2, f"the server tells of these ends: {closed}")
    told = "closed 4000 from client" in closed
    expect(told, f"the server does not tell the client's code and reason, but {closed}")


def check_no_extension(recordings: list[Recording]) -> None:
    """Checks that one who compresses and one who cannot agree on not to."""
    for recording in recordings:
        got = recording.server.header("sec-websocket-extensions")
        expect(got == "", f"the server chose {got!r}")


def check_deflate(recording: Recording, end: str, keeps_context: bool) -> None:
    """Checks that one end compressed, and whether messages refer to earlier ones."""
    chosen = recording.server.header("sec-websocket-extensions")
    expect(chosen.startswith("permessage-deflate"), f"the server chose {chosen!r}")
    direction: Direction = getattr(recording, end)
    text = digits().encode()
    twins = [m for m in direction.messages() if m.payload == text]
    expect(len(twins) == 2, f"the {end} sent {len(twins)} of 2 messages")
    expect(all(m.is_compressed for m in twins), f"the {end} did not compress")
    first, second = (m.wire_size for m in twins)
    sizes = f"{len(text)} octets became {first}, and then {second}"
    expect(first < 0.75 * len(text), sizes)
    kept = second < first / 4
    expect(kept == keeps_context, f"{sizes}: context is {'kept' if kept else 'not kept'}")
    big = [m for m in direction.messages() if len(m.payload) == 1 << 20]
    expect(len(big) == 1 and big[0].wire_size < 1 << 19, f"the {end}'s 1 MiB did not shrink")
    # RFC 7692 §6.1: the bit is in the first frame of a message only.
    for message in direction.messages():
        expect(not any(f.rsv1 for f in message.frames[1:]), "RSV1 within a message")
