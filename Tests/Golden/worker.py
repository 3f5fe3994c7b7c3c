"""Runs cases in a sandbox: their lines come in on standard input, a JSON object for each leaves on standard output."""

import json
import pathlib
import subprocess
import sys
import time
import traceback

import namespaces
import roles
from adapters import ADAPTERS, plain
from cases import Case
from sandbox import Sandbox


# Keys that every kind of case has.
COMMON = {"id", "section", "program", "note", "argv", "argv0", "env", "stdin", "files", "modes", "mtimes", "as", "expect"}


def program_names(programs):
    """{name: the program that answers to it}, as the multi-call program lists them."""
    said = subprocess.run([pathlib.Path(programs) / "qmail", "--names"], capture_output=True, timeout=20, check=True).stdout.decode()
    return {name: program for name, _, program in map(str.split, said.splitlines())}


def judge(case, sandbox):
    """(verdict, differences): `same`, `differs`, `absent` (no such program), `rootless` (only root can run it)."""
    adapter = ADAPTERS.get(case.program, plain)
    missing = adapter.missing(case, sandbox)
    if missing:
        return "absent", [missing]
    unknown = [key for key in case.record if key.removesuffix("_b64") not in COMMON | adapter.KEYS]
    unknown += [f"expect.{key}" for key in case.expect if key.removesuffix("_b64") not in adapter.EXPECT]
    if unknown:
        return "differs", ["the runner does not know " + ", ".join(unknown)]
    if adapter.needs_root(case) and not namespaces.is_root():
        return "rootless", ["only root can run this"]
    try:
        sandbox.reset(case)
        differences = adapter.run(case, sandbox)
    except Exception:
        return "differs", ["the runner failed:\n" + traceback.format_exc(limit=-2), *roles.trouble()]
    return ("differs" if differences else "same"), differences


def main():
    programs, scratch = sys.argv[1:]
    namespaces.furnish(programs, scratch)
    sandbox = Sandbox(program_names(namespaces.PROGRAMS))
    for line in sys.stdin:
        file, record = json.loads(line)
        began = time.monotonic()
        verdict, differences = judge(Case(file, record), sandbox)
        print(json.dumps({"verdict": verdict, "differences": differences, "seconds": round(time.monotonic() - began, 3)}), flush=True)


if __name__ == "__main__":
    main()
