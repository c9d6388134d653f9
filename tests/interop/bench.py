"""Checks with names, each with servers, proxies and clients of its own."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import setup
from checks import Wrong
from setup import processes


@dataclass
class Bench:
    """Starts and ends what a check needs."""

    programs: dict[str, str]
    python: Path
    node: Path | None
    folder: Path
    started: list[processes.Process] = field(default_factory=list)

    def start(self, command: list[str]) -> processes.Process:
        name = f"{len(self.started):02}-{Path(command[0]).name}"
        process = processes.Process(command, self.folder / f"{name}.log", name)
        self.started.append(process)
        return process

    def ended(self, command: list[str]) -> processes.Process:
        """Starts a client, and waits until it has ended."""
        client = self.start(command)
        limit = processes.deadline(120)
        while client.status() is None and not processes.is_past(limit):
            processes.pause(0.02)
        return client

    def server(self, *arguments: str) -> tuple[processes.Process, int]:
        server = self.start([self.programs["interop_server"], "127.0.0.1:0", *arguments])
        return server, int(setup.wait_for(server, LISTENING))

    def proxy(self, command: Callable[[Bench, int], list[str]]) -> int:
        """Starts a proxy, whose command is made for a port, and waits until it listens."""
        for _ in range(3):
            port = processes.free_port()
            proxy = self.start(command(self, port))
            limit = processes.deadline(30)
            while proxy.status() is None and not processes.is_past(limit):
                if processes.accepts_connections(port):
                    return port
                processes.pause(0.05)
            # Somebody may have taken the port.
        raise setup.Failed(f"a proxy does not listen\n{proxy.tail()}")

    def client(self, url: str, *arguments: str) -> processes.Process:
        command = [self.programs["interop_client"], url, "--deflate", "takeover"]
        return self.ended([*command, *arguments])

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def tls(self) -> list[str]:
        return ["--chain", self.file("chain.pem"), "--key", self.file("key.pem")]

    def ca(self) -> list[str]:
        return ["--ca", self.file("ca.pem")]


def run(checks: dict[str, Callable[[Bench], None]], options: argparse.Namespace) -> int:
    """Runs checks, tells of each, and returns the exit status."""
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    python, node = setup.python(cache), setup.node(cache)
    programs = setup.examples("interop_server", "interop_client", "interop_http2")
    passed = problems = 0
    for name, check in checks.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="interop-") as scratch:
            bench = Bench(programs, python, node, Path(scratch))
            setup.certificates(python, bench.folder)
            try:
                check(bench)
                passed += 1
                print(f"ok: {name}", flush=True)
            except Wrong as wrong:
                problems += 1
                print(f"FAILED: {name}: {wrong}", flush=True)
                print("\n".join(process.tail() for process in bench.started), flush=True)
            finally:
                for process in reversed(bench.started):
                    process.end()
    print(f"{passed} passed, {problems} failed", flush=True)
    return 1 if problems or not passed else 0


def options(text: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=text.split("\n\n")[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="checks with this in the name")
    parser.add_argument("--cache", type=Path, default=setup.CACHE, metavar="DIR")
    return parser.parse_args()


LISTENING = r"^listening on \S+:(\d+)\s*$"
