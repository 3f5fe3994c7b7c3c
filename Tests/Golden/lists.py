"""differences.toml: which cases are answered differently on purpose, and which do not apply; each with its reason."""

import base64
import dataclasses
import fnmatch
import pathlib
import re
import tomllib

PATH = pathlib.Path(__file__).with_name("differences.toml")
_KINDS = ("different", "not-applicable")
_KEYS = {"cases", "where", "why", "instead", "answers"}


@dataclasses.dataclass
class Entry:
    """`cases` are FILE/ID, or names of programs; `where` narrows them down by what a case says: {path in it: regular expression}."""

    kind: str
    cases: list
    why: str
    where: dict
    # Keys of `expect` that our own answer changes, for all cases and by FILE/ID; None: our answer is not checked.
    instead: dict | None
    answers: dict

    def answer(self, case):
        """The keys of `expect` with our answer. TOML has no null: a file that is removed is `false` there."""
        answer = self.answers.get(case.name, self.instead)
        if answer is None or "files" not in answer:
            return answer
        return {**answer, "files": {path: None if change is False else change for path, change in answer["files"].items()}}

    def names(self, case):
        return any(_matches(pattern, case) for pattern in self.cases) and all(
            any(re.fullmatch(pattern, value, re.S) for value in _values(case.record, path)) for path, pattern in self.where.items())


class Lists:
    """All entries, in the order of the file; the first that names a case decides."""

    def __init__(self, path):
        content = tomllib.loads(path.read_text())
        self.entries = [_entry(kind, record, path) for kind, records in content.items() for record in records]

    def find(self, case):
        """The entry that names the case, or None."""
        return next((entry for entry in self.entries if entry.names(case)), None)

    def unused(self, cases):
        """Patterns that name no case at all, of files that are there. An entry with `where` is a rule, whether a case needs it or not."""
        files = {case.file for case in cases}
        return [pattern for entry in self.entries if not entry.where for pattern in entry.cases
                if "/" in pattern and pattern.split("/")[0] in files and not any(_matches(pattern, case) for case in cases)]


def _entry(kind, record, path):
    if kind not in _KINDS:
        raise SystemExit(f"golden: {path}: unknown table {kind}")
    if not record.get("cases") or not record.get("why") or set(record) - _KEYS:
        raise SystemExit(f"golden: {path}: an entry has cases and why, and may have where and instead: {record}")
    return Entry(kind, record["cases"], record["why"], record.get("where", {}), record.get("instead"), record.get("answers", {}))


def _matches(pattern, case):
    return fnmatch.fnmatchcase(case.name, pattern) or case.program == pattern


def _values(value, path):
    """Texts at a path like `inject.*.sender`: `*` stands for each item, a list at the end for all of its items."""
    first, _, rest = path.partition(".")
    if path == "":
        return [text for item in value for text in _values(item, "")] if isinstance(value, list) else [_text(value)]
    if isinstance(value, dict):
        if first + "_b64" in value:
            return _values({"b64": value[first + "_b64"]}, rest)
        items = list(value.values()) if first == "*" else [value[first]] if first in value else []
    elif isinstance(value, list):
        items = value if first == "*" else value[int(first):][:1]
    else:
        items = []
    return [text for item in items for text in _values(item, rest)]


def _text(value):
    return base64.b64decode(value["b64"]).decode("latin-1") if isinstance(value, dict) and "b64" in value else str(value)
