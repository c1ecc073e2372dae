#!/usr/bin/env python3
"""Makes a connector: compiles the author's C with the SDK, makes the component and puts connector.toml into it.

    python3 build.py [DIRECTORY] [--out FILE] [--no-manifest]

DIRECTORY (by default the current one) holds connector.toml and the C files, there or in src/. Without --out the component is
written to DIRECTORY/dist/<id>.wasm.

The compiler is $CC where it is set (`clang --target=wasm32-wasi`, with Debian's clang, lld, wasi-libc and
libclang-rt-14-dev-wasm32), otherwise pip's ziglang. The component is made by wasm-component-ld, which comes with Rust's target
wasm32-wasip2 and with the WASI SDK.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

SDK = Path(__file__).resolve().parent
CONTRACT = "0.1"
SECTION = b"sluice:manifest"

FLAGS = ["-std=c11", "-Os", "-mexec-model=reactor", "-fno-strict-aliasing", "-UNDEBUG"]
"""The generated bindings read memory as several types; `assert` stays what it is, whatever a compiler takes -Os to mean."""

LINK = ["-Wl,-z,stack-size=262144"]
"""In bytes: 256 KiB. The compiler's own choice is 16 MiB, which every idle instance would have to reserve."""

WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=".", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-manifest", action="store_true")
    given = parser.parse_args()

    root = given.directory.resolve()
    manifest_file = root / "connector.toml"
    if not manifest_file.is_file():
        stop(f"{manifest_file} is missing: it says what the connector offers and asks for")
    manifest = manifest_file.read_bytes()
    found = re.search(rb'^id\s*=\s*"([^"]+)"', manifest.split(b"\n[")[0], re.MULTILINE)
    if not found:
        stop(f"{manifest_file} has no `id` before its first table")
    sources = sorted([*root.glob("*.c"), *root.glob("src/*.c")])
    if not sources:
        stop(f"{root} holds no C files")

    with tempfile.TemporaryDirectory() as made:
        component = componentize(Path(made), compiled(Path(made), root, sources))
    if not given.no_manifest:
        component = embed(component, manifest)
    out = given.out or root / "dist" / f"{found[1].decode()}.wasm"
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(component)
    os.replace(partial, out)
    print(f"{os.path.relpath(out)} ({len(component) // 1024} KiB)")


def compiler() -> list[str]:
    named = os.environ.get("CC")
    if named and "wasm32" in named:
        return shlex.split(named)
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-wasi"]
    stop(
        "there is no C compiler for WebAssembly: "
        f"{sys.executable} -m pip install -r {SDK / 'requirements.txt'}\n"
        "or set CC='clang --target=wasm32-wasi' after apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32"
    )


def compiled(made: Path, root: Path, sources: list[Path]) -> Path:
    """A core module. The author's files by their names from the connector's directory: the names are in what __FILE__ says."""
    cc, objects = compiler(), []
    paths = [f"-I{SDK / 'include'}", f"-I{SDK / 'generated'}"]
    # The bindings give back what was returned, piece by piece; here every piece is a slice of something larger, and stays.
    jobs = [(SDK / "generated/connector.c", ["-w", "-Dfree=sl_keep"])]
    jobs += [(path, WARNINGS) for path in sorted((SDK / "src").glob("*.c"))]
    jobs += [(path.relative_to(root), WARNINGS) for path in sources]
    for number, (path, warnings) in enumerate(jobs):
        objects.append(made / f"{number}.o")
        run([*cc, *FLAGS, *warnings, *paths, "-c", str(path), "-o", str(objects[-1])], root)
    core = made / "core.wasm"
    run([*cc, *FLAGS, *LINK, *map(str, objects), "-o", str(core)], root)
    return core


def componentize(made: Path, core: Path) -> bytes:
    """The module is linked already: wasm-component-ld is told to take it instead of running a linker."""
    linker = made / "linked"
    linker.write_text(
        '#!/bin/sh\nwhile [ $# -gt 0 ]; do case "$1" in -o) shift; cp "' + str(core) + '" "$1";; esac; shift; done\n'
    )
    linker.chmod(linker.stat().st_mode | stat.S_IXUSR)
    out = made / "component.wasm"
    run(
        [component_linker(), "--wasm-ld-path", str(linker), "--component-type", str(contract()), "-o", str(out), "none.o"],
        made,
        "\nsdk-guest/c/generated is of another contract than wit/: run `wit-bindgen c` again, see README.md",
    )
    return out.read_bytes()


def component_linker() -> str:
    found = os.environ.get("WASM_COMPONENT_LD") or shutil.which("wasm-component-ld")
    if found:
        return found
    rustc = shutil.which("rustc")
    if rustc:
        root = subprocess.run([rustc, "--print", "sysroot"], cwd=SDK, capture_output=True, text=True).stdout.strip()
        for path in Path(root).glob("lib/rustlib/*/bin/wasm-component-ld*"):
            return str(path)
    stop("wasm-component-ld is not there: rustup target add wasm32-wasip2 (or install the WASI SDK and put its bin/ on PATH)")


def run(command: list[str], cwd: Path, hint: str = "") -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        stop(f"{Path(command[0]).name} failed:\n{(done.stderr or done.stdout).strip()}{hint}")


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
