"""Makes a certificate for the loopback with the `openssl` command."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Failed(Exception):
    """There is no certificate; the text says why."""


def make(folder: Path) -> None:
    """Writes `chain.pem`, which vouches for itself, and `key.pem`; an earlier pair is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "openssl.cnf"
    config.write_text(CONFIG)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    command += ["-config", str(config), "-keyout", str(folder / "key.pem")]
    command += ["-out", str(folder / "chain.pem")]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except OSError as error:
        raise Failed(f"openssl, which makes the certificate for --tls: {error}") from None
    except subprocess.CalledProcessError as error:
        raise Failed(f"openssl made no certificate:\n{error.stderr}") from None


# It is no CA: one that is may not stand for a server.
CONFIG = """
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
"""
