#!/usr/bin/env python3
"""Makes a connector: the component from connector.py and the SDK, with connector.toml in it.

    python3 build.py [DIRECTORY] [--out FILE] [--no-manifest]

DIRECTORY (by default the current one) holds connector.toml and connector.py. Without --out the component is written to
DIRECTORY/dist/<id>.wasm.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SDK = Path(__file__).resolve().parent
CONTRACT = "0.1"
SECTION = b"sluice:manifest"

ENTRY = """\
from sluice._export import Actions, Auth, Sync, Webhook, use
import connector

use(connector)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=".", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-manifest", action="store_true")
    given = parser.parse_args()

    if importlib.util.find_spec("componentize_py") is None:
        stop(f"componentize-py is not installed: {sys.executable} -m pip install -r {SDK / 'requirements.txt'}")
    root = given.directory.resolve()
    manifest_file, source = root / "connector.toml", root / "connector.py"
    if not manifest_file.is_file():
        stop(f"{manifest_file} is missing: it says what the connector offers and asks for")
    if not source.is_file():
        stop(f"{source} is missing")
    manifest = manifest_file.read_bytes()
    found = re.search(rb'^id\s*=\s*"([^"]+)"', manifest.split(b"\n[")[0], re.MULTILINE)
    if not found:
        stop(f"{manifest_file} has no `id` before its first table")

    with tempfile.TemporaryDirectory() as made:
        component = componentize(Path(made), root)
    if not given.no_manifest:
        component = embed(component, manifest)
    out = given.out or root / "dist" / f"{found[1].decode()}.wasm"
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(component)
    os.replace(partial, out)
    print(f"{os.path.relpath(out)} ({len(component) // 1024} KiB)")


def componentize(made: Path, root: Path) -> bytes:
    """What goes into the component is copied to one place first: the author's modules, the SDK and the entry, nothing else."""
    app = made / "app"
    unwanted = shutil.ignore_patterns("__pycache__", "dist", "test*", ".*", "*.wasm", "sluice-sdk")
    shutil.copytree(root, app, ignore=unwanted)
    shutil.copytree(SDK / "sluice", app / "sluice", ignore=shutil.ignore_patterns("__pycache__", "testing.py"))
    (app / "entry.py").write_text(ENTRY)
    out = made / "component.wasm"
    # Its console script, without having to know where pip put it.
    run = "import sys, componentize_py; sys.exit(componentize_py.script())"
    command = [sys.executable, "-c", run, "--quiet", "-d", str(contract()), "-w", "connector"]
    command += ["componentize", "-p", str(app), "-o", str(out), "entry"]
    # Without a virtual environment of the author's: what is installed there is not what was asked to go in.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, cwd=made, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        # What comes after it is about the tool itself.
        said = (done.stderr or done.stdout).split("\nStack backtrace:")[0].split("\nCaused by:")[0].strip()
        stop(f"componentize-py failed:\n{said.replace('/0/', '')}")
    return out.read_bytes()


def contract() -> Path:
    """The contract: beside the SDK in a project of its own, in the checkout otherwise."""
    for room in (SDK / "wit", SDK.parent.parent / "wit"):
        if (room / CONTRACT).is_dir():
            return room / CONTRACT
    stop(f"the contract (wit/{CONTRACT}) is not beside the SDK")


def embed(component: bytes, manifest: bytes) -> bytes:
    """`manifest` as the component's last section: the exact bytes, under the name that the host looks for."""
    content = leb128(len(SECTION)) + SECTION + manifest
    return component + b"\0" + leb128(len(content)) + content


def leb128(number: int) -> bytes:
    made = bytearray()
    while number >= 0x80:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def stop(message: str) -> None:
    sys.exit(f"build.py: {message}")


if __name__ == "__main__":
    main()
