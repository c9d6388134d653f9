"""Runs a peer: `peer.py NAME client URL` or `peer.py NAME server`."""

from __future__ import annotations

import argparse
import asyncio
import importlib

import script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:0")
    parser.add_argument("--deflate", choices=["off", "takeover", "none"], default="off")
    for name in ("--ca", "--chain", "--key"):
        parser.add_argument(name)
    given = parser.parse_args()
    options = script.Options(given.url, given.deflate, given.ca, given.chain, given.key)
    peer = importlib.import_module("peer_" + given.name.replace("-", "_"))
    if given.role == "client":
        asyncio.run(script.converse(peer.connect, options))
    else:
        asyncio.run(serve(peer, options))


async def serve(peer, options: script.Options) -> None:
    server, port = await peer.serve(options)
    script.tell(f"listening on 127.0.0.1:{port}")
    await asyncio.Event().wait()
    del server


if __name__ == "__main__":
    main()
