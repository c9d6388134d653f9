"""Installs the peers below a folder that git does not see, once for each list of versions."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Failed(Exception):
    """Something could not be installed or built; the text says what."""


def python(cache: Path) -> Path:
    """An interpreter that has the peers in Python."""
    requirements = HERE / "requirements.txt"
    home = cache / f"python-{_key(requirements, salt=sys.version)}"
    if not (home / "complete").exists():
        print("installing the peers in Python", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--no-input", "--retries", "5", "--no-deps"]
        _run([*pip, "-r", str(requirements)])
        (home / "complete").touch()
    return home / "bin" / "python"


def node(cache: Path) -> Path:
    """A folder with the peers in JavaScript, and the scripts beside them."""
    if shutil.which("npm") is None:
        raise Failed("the peers in JavaScript need Node 20 or newer, with npm")
    lock = HERE / "package-lock.json"
    home = cache / f"node-{_key(lock)}"
    if not (home / "complete").exists():
        print("installing the peers in JavaScript", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for file in (HERE / "package.json", lock):
            shutil.copy(file, home)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], home)
        (home / "complete").touch()
    # A script finds packages from where it is.
    for script in HERE.glob("*/*.mjs"):
        shutil.copy(script, home)
    return home


def examples(*names: str) -> dict[str, str]:
    """Builds programs of this crate; returns where cargo has put them."""
    flags = [word for name in names for word in ("--example", name)]
    command = ["cargo", "build", "--features", "rustls", "--message-format=json-render-diagnostics"]
    built = subprocess.run([*command, *flags], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise Failed(f"{' and '.join(names)} did not build")
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message.get("executable")
    }


def certificates(interpreter: Path, folder: Path) -> None:
    """Makes `ca.pem`, `chain.pem` and `key.pem` for localhost, and `stranger.pem`, another CA."""
    _run([str(interpreter), str(HERE / "certificates.py"), str(folder)])


def _key(file: Path, salt: str = "") -> str:
    return hashlib.sha256(file.read_bytes() + salt.encode()).hexdigest()[:12]


def _run(command: list[str], folder: Path | None = None) -> None:
    result = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if result.returncode != 0:
        tail = "\n".join(result.stdout.decode(errors="replace").splitlines()[-20:])
        raise Failed(f"{' '.join(command)} failed:\n{tail}")
