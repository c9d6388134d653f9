"""Runs chunks of cases: `wstest` on one side, the program under test on the other.

In the server role the program under test is a server and `wstest` connects to
it; in the client role it is a client that asks `wstest` for the number of cases,
runs each and has the reports written. Every chunk has its own pair of processes,
its own port and its own folder.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from cases import Case
from processes import (
    Process,
    accepts_connections,
    check_not_stopped,
    deadline,
    free_port,
    is_past,
    pause,
    split_command,
)
from wstest import HERE, Suite

AGENT = "motorway"


@dataclass(frozen=True)
class Settings:
    """What the chunks of a role have in common."""

    role: str  # "server" or "client": what the program under test is.
    command: str  # Holds `{addr}` for a server, `{url}` and `{agent}` for a client.
    suite: Suite
    reports: Path  # The folder of this role.
    jobs: int
    timeout: float  # Seconds for a chunk.
    tls: Path | None = None  # A folder with `chain.pem` and `key.pem`, for TLS.

    def url(self, port: int) -> str:
        """The URL of a server at this port of the loopback."""
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{port}"


@dataclass
class Chunk:
    """Some of the cases, and what became of them."""

    cases: list[Case]
    folder: Path
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class ChunkFailed(Exception):
    """A chunk did not come to its end; the text says why, with both outputs."""


def run_role(settings: Settings, split: list[list[Case]]) -> list[Chunk]:
    """Runs all chunks, so many at a time; an earlier run's reports are removed."""
    shutil.rmtree(settings.reports, ignore_errors=True)
    chunks = [
        Chunk(cases, settings.reports / f"chunk-{number:02}")
        for number, cases in enumerate(split, start=1)
    ]
    pool = ThreadPoolExecutor(settings.jobs)
    try:
        futures = [pool.submit(_run_chunk, settings, chunk) for chunk in chunks]
        while wait(futures, timeout=0.5).not_done:
            pass  # Waking now and then lets Ctrl-C through.
        for future in futures:
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return chunks


def _run_chunk(settings: Settings, chunk: Chunk) -> None:
    check_not_stopped()
    chunk.folder.mkdir(parents=True)
    started = time.monotonic()
    try:
        {"server": _test_server, "client": _test_client}[settings.role](settings, chunk)
        if not (chunk.folder / "index.json").exists():
            raise ChunkFailed("wstest wrote no report (was /updateReports asked for?)")
    except ChunkFailed as error:
        chunk.problems.append(f"{chunk.folder.name} ({_describe(chunk.cases)}): {error}")
    chunk.seconds = time.monotonic() - started
    state = "FAILED" if chunk.problems else "ended"
    progress = f"{settings.role} {chunk.folder.name}: {_describe(chunk.cases)}, {state}"
    print(f"{progress} after {chunk.seconds:.0f} s", flush=True)


def _test_server(settings: Settings, chunk: Chunk) -> None:
    command = split_command(settings.command, addr="127.0.0.1:0")
    server = _start(command, chunk, "server")
    try:
        port = _wait_for_address(server)
        config = _write_config(
            chunk,
            "fuzzingclient",
            servers=[{"agent": AGENT, "url": settings.url(port)}],
        )
        wstest = _start(settings.suite.command("fuzzingclient", config), chunk, "wstest")
        try:
            _wait_for_end(wstest, server, settings.timeout)
        finally:
            wstest.end()
    finally:
        server.end()


def _test_client(settings: Settings, chunk: Chunk) -> None:
    wstest, port = _start_fuzzing_server(settings, chunk)
    try:
        url = settings.url(port)
        command = split_command(settings.command, url=url, agent=AGENT)
        client = _start(command, chunk, "client")
        try:
            _wait_for_end(client, wstest, settings.timeout)
        finally:
            client.end()
    finally:
        # It may still be writing its reports: SIGTERM lets it finish these.
        wstest.end(grace=30.0)


def _start(command: list[str], chunk: Chunk, name: str) -> Process:
    try:
        return Process(command, chunk.folder / f"{name}.log", name)
    except OSError as error:
        raise ChunkFailed(f"{command[0]} does not start: {error}") from None


def _wait_for_address(server: Process) -> int:
    """Waits until the server says where it listens; returns the port."""
    limit = deadline(START_SECONDS)
    while True:
        address = re.search(r"^listening on \S+:(\d+)\s*$", server.output(), re.MULTILINE)
        if address:
            return int(address[1])
        if server.status() is not None:
            raise ChunkFailed(f"the server {_ending(server)} at once\n{server.tail()}")
        if is_past(limit):
            text = f"the server did not print `listening on HOST:PORT` in {START_SECONDS} s"
            raise ChunkFailed(f"{text}\n{server.tail()}")
        pause(0.02)


def _start_fuzzing_server(settings: Settings, chunk: Chunk) -> tuple[Process, int]:
    """Starts `wstest` as a server; tries anew if somebody snatched the port."""
    shown = {"cert": "chain.pem", "key": "key.pem"} if settings.tls else {}
    shown = {name: str(settings.tls / file) for name, file in shown.items()}
    for _ in range(3):
        port = free_port()
        config = _write_config(chunk, "fuzzingserver", url=settings.url(port), **shown)
        wstest = _start(settings.suite.command("fuzzingserver", config), chunk, "wstest")
        limit = deadline(START_SECONDS)
        try:
            while wstest.status() is None and not is_past(limit):
                # It lists the cases just before it listens: by then a port that
                # answers is its own, or it ends because the port is taken.
                if "\nCases = " in wstest.output() and accepts_connections(port):
                    pause(0.2)
                    if wstest.status() is None:
                        return wstest, port
                pause(0.05)
        except BaseException:
            wstest.end()
            raise
        wstest.end()
    raise ChunkFailed(f"wstest did not listen\n{wstest.tail()}")


def _wait_for_end(awaited: Process, companion: Process, timeout: float) -> None:
    """Waits for one process to end well while the other stays alive."""
    limit = deadline(timeout)
    while awaited.status() is None and companion.status() is None:
        if is_past(limit):
            raise ChunkFailed(f"not finished after {timeout:.0f} s{_traces(companion, awaited)}")
        pause(0.05)
    if companion.status() is not None:
        # What was done so far is worth a report, if one comes.
        grace = deadline(3.0)
        while awaited.status() is None and not is_past(grace):
            pause(0.05)
        early = f"the {companion.name} {_ending(companion)} before the end"
        raise ChunkFailed(f"{early}{_traces(companion, awaited)}")
    if awaited.status() != 0:
        raise ChunkFailed(f"the {awaited.name} {_ending(awaited)}{_traces(companion, awaited)}")


def _write_config(chunk: Chunk, mode: str, **values: object) -> Path:
    config = json.loads((HERE / "config" / f"{mode}.json").read_text())
    config.update(values, cases=chunk.cases, outdir=str(chunk.folder.resolve()))
    path = chunk.folder.resolve() / f"{mode}.json"
    path.write_text(json.dumps(config, indent=3))
    return path


def _traces(*processes: Process) -> str:
    """The case that was under way, and the end of what each process printed."""
    log = next(process.output() for process in processes if process.name == "wstest")
    started = re.findall(r"Running test case ID (\S+)", log)
    last = f"last case started: {started[-1]}" if started else "no case was started"
    return "\n".join([f"; {last}", *(process.tail() for process in processes)])


def _ending(process: Process) -> str:
    status = process.status() or 0
    return f"died of signal {-status}" if status < 0 else f"exited with status {status}"


def _describe(cases: list[Case]) -> str:
    return f"{len(cases)} cases, {cases[0]} to {cases[-1]}"


# Seconds that either side has to start listening.
START_SECONDS = 30.0
