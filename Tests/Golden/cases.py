"""The recorded cases: one JSON object a line; README.md describes the keys."""

import base64
import dataclasses
import json
import pathlib


def to_bytes(value):
    """A recorded value: UTF-8 text, or `{"b64": …}` for bytes that are none."""
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def field(record, key, default=b""):
    """`record[key]` as bytes, from the key itself or from the one with `_b64` behind it."""
    if key + "_b64" in record:
        return base64.b64decode(record[key + "_b64"])
    return to_bytes(record[key]) if key in record else default


@dataclasses.dataclass
class Case:
    """One line of a file. `id` is unique in the file only, `name` (FILE/ID) everywhere."""

    file: str
    record: dict

    @property
    def id(self):
        return self.record["id"]

    @property
    def name(self):
        return f"{self.file}/{self.id}"

    @property
    def program(self):
        return self.record["program"]

    @property
    def kind(self):
        """Whom a report counts it under: the bounces were recorded of qmail-send, but are a kind of their own."""
        return self.file if self.program == "qmail-send" else self.program

    @property
    def expect(self):
        return self.record["expect"]

    @property
    def is_root(self):
        return self.record.get("as") == "root"


def read(folder):
    """All cases of the folder's `*.jsonl`, by file, in their order."""
    cases = []
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
            if not line:
                continue
            try:
                cases.append(Case(path.stem, json.loads(line)))
            except ValueError as error:
                raise SystemExit(f"golden: {path}: line {number}: {error}") from None
    return cases
