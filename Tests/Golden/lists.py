"""differences.toml: which cases are answered differently on purpose, and which do not apply; each with its reason."""

import fnmatch
import pathlib
import tomllib

PATH = pathlib.Path(__file__).with_name("differences.toml")
_KINDS = {"different", "not-applicable"}


class Lists:
    """Entries name cases as FILE/ID, or FILE/PROGRAM for all of a program; `*` stands for any characters."""

    def __init__(self, path):
        content = tomllib.loads(path.read_text())
        if set(content) - _KINDS:
            raise SystemExit(f"golden: {path}: unknown table {sorted(set(content) - _KINDS)[0]}")
        self.entries = [(kind, entry) for kind, entries in content.items() for entry in entries]
        for _, entry in self.entries:
            if not entry.get("cases") or not entry.get("why"):
                raise SystemExit(f"golden: {path}: an entry needs cases and why: {entry}")

    def find(self, case):
        """("different" or "not-applicable", entry), or (None, None)."""
        return next(((kind, entry) for kind, entry in self.entries if any(_names(p, case) for p in entry["cases"])), (None, None))

    def unused(self, cases):
        """Patterns that name no case at all, of files that are there."""
        files = {case.file for case in cases}
        return [pattern for _, entry in self.entries for pattern in entry["cases"]
                if pattern.split("/")[0] in files and not any(_names(pattern, case) for case in cases)]


def _names(pattern, case):
    return fnmatch.fnmatchcase(case.name, pattern) or fnmatch.fnmatchcase(f"{case.file}/{case.program}", pattern)
