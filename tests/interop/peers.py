"""The peers, and what each of them has no way to do, with the reason.

What is listed is checked to be so: a peer that learns it makes the run fail until it is taken off.
"In" and "out" are as the peer sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FEATURES = [
    "subprotocol",
    "text",
    "binary",
    "1 MiB",
    "fragments in",
    "fragments out",
    "ping in",
    "ping out",
    "close in",
    "close out",
    "deflate in",
    "deflate out",
    "deflate without context in",
    "deflate without context out",
    "TLS",
    "TLS of a stranger refused",
]


@dataclass(frozen=True)
class Peer:
    name: str
    language: str  # "python" or "node".
    role: str  # What the peer is.
    absent: dict[str, str] = field(default_factory=dict)
    # With which code it answers a close frame of 4000; RFC 6455 §5.5.1 has it "typically" the same.
    answer: int = 4000

    def step(self, feature: str) -> str:
        """The step of the conversation, which is named as the client sees it."""
        name, _, way = feature.rpartition(" ")
        if self.role == "server" and way in ("in", "out"):
            return f"{name} {'out' if way == 'in' else 'in'}"
        return feature

    @property
    def has_deflate(self) -> bool:
        return not all(feature in self.absent for feature in DEFLATE)


DEFLATE = [feature for feature in FEATURES if feature.startswith("deflate")]


def _all(features: list[str], reason: str) -> dict[str, str]:
    return {feature: reason for feature in features}


_NO_FRAGMENTS = {"fragments out": "sends whole messages only"}
_MESSAGES_OUT = ["deflate out", "deflate without context out"]

PEERS = [
    Peer("websockets", "python", "client"),
    Peer("websockets", "python", "server"),
    Peer("aiohttp", "python", "client", _NO_FRAGMENTS),
    Peer("aiohttp", "python", "server", _NO_FRAGMENTS, answer=1000),
    Peer(
        "websocket-client",
        "python",
        "client",
        _all(DEFLATE, "knows no extensions"),
    ),
    Peer("autobahn", "python", "client"),
    Peer("autobahn", "python", "server", answer=1000),
    Peer("picows", "python", "client", _all(DEFLATE, "leaves extensions to its users")),
    Peer("picows", "python", "server", _all(DEFLATE, "leaves extensions to its users")),
    Peer("ws", "node", "client"),
    Peer("ws", "node", "server"),
    Peer(
        "undici",
        "node",
        "client",
        {
            "fragments out": "browsers' interface, which has whole messages only",
            **_all(_MESSAGES_OUT, "inflates, but sends uncompressed"),
        },
    ),
]
