"""What a run did against what was recorded: a list of differences that a person can read; empty when there are none."""

import difflib

from cases import field, to_bytes
from placeholders import Pattern, put_in


class Comparison:
    """Collects the differences of one case. `places` are the sandbox's, `began` and `ended` the run's Unix seconds."""

    def __init__(self, places, began, ended):
        self.places, self.began, self.ended = places, began, ended
        self.differences = []

    def note(self, text):
        self.differences.append(text)

    def value(self, what, recorded, found):
        """Numbers, flags and names."""
        if recorded != found:
            self.note(f"{what}: recorded {recorded!r}, now {found!r}")

    def text(self, what, recorded, found):
        """Bytes, with placeholders in `recorded`. None is for "there was none"."""
        if recorded is None or found is None:
            if recorded != found:
                self.note(f"{what}: recorded {_shown(recorded)}, now {_shown(found)}")
        elif not self.matches(recorded, found):
            self.note(f"{what}:\n" + self._difference(put_in(recorded, self.places), found))

    def matches(self, recorded, found):
        return Pattern(put_in(recorded, self.places)).matches(found, self.began, self.ended)

    def output(self, expect, run):
        """Exit code and what the program wrote."""
        self.value("exit code", expect["exit"], run.exit)
        self.text("standard output", field(expect, "stdout"), run.stdout)
        self.text("standard error", field(expect, "stderr"), run.stderr)

    def queue(self, expect, received):
        """What the capturing queue program was given; `received` as Capture reads it."""
        recorded = [_recorded_injection(entry) for entry in expect.get("queue", [expect])]
        recorded = [entry for entry in recorded if entry is not None]
        self.value("messages given to the queue", len(recorded), len(received))
        for number, (old, new) in enumerate(zip(recorded, received), 1):
            label = "" if len(recorded) == 1 else f" {number}"
            for part in ("message", "envelope"):
                self.text(f"{part}{label}", old[part] if old else None, new[part] if new else None)

    def files(self, recorded, found):
        """Changes of files: {path: change} as recorded, and as Box.changes gives them."""
        left = dict(found)
        for path, change in sorted(recorded.items()):
            name = next((name for name in left if self.matches(path.encode(), name.encode())), None)
            if name is None:
                self.note(f"{path}: recorded as {_kind(change)}, now unchanged")
            else:
                self._file(path, change, left.pop(name))
        for name, change in sorted(left.items()):
            self.note(f"{name}: unchanged when recorded, now {_kind(change)}:\n{_lines_shown(change)}")

    def _file(self, path, recorded, found):
        if any(change is None or isinstance(change, dict) and "dir" in change for change in (recorded, found)):
            if recorded != found:
                self.note(f"{path}: recorded as {_kind(recorded)}, now {_kind(found)}")
            return
        old, new = _parts(recorded), _parts(found)
        self.value(f"{path}: mode", old[0], new[0])
        self.text(path, old[1], new[1])

    def _difference(self, recorded, found):
        old, new = recorded.split(b"\n"), found.split(b"\n")
        patterns = [(line, Pattern(line)) for line in dict.fromkeys(old) if b"<" in line]
        new = [next((text for text, pattern in patterns if pattern.matches(line, self.began, self.ended)), line) for line in new]
        lines = difflib.unified_diff([_shown_line(l) for l in old], [_shown_line(l) for l in new], "recorded", "now", lineterm="", n=2)
        shown = "\n".join(line for line in lines if not line.startswith("@@"))
        return shown or "  (each line by itself is as recorded: a date is not this run's, or one number stands for two)"


def _recorded_injection(entry):
    """{message, envelope}; False for one that was given up, None if nothing was injected."""
    if entry.get("queue_aborted") or entry.get("aborted"):
        return False
    if "envelope" in entry or "envelope_b64" in entry:
        return {"message": field(entry, "message"), "envelope": field(entry, "envelope")}
    return None


def _parts(change):
    """(mode, content) of a change; None for what is not said to have changed."""
    if isinstance(change, bytes):
        return None, change
    if isinstance(change, str):
        return None, change.encode()
    content = to_bytes({"b64": change["b64"]}) if "b64" in change else change.get("content")
    return change.get("mode"), content.encode() if isinstance(content, str) else content


def _kind(change):
    if change is None:
        return "removed"
    if isinstance(change, dict) and "mode" in change:
        name = "a new directory, " if "dir" in change else "a new file, " if len(change) > 1 else ""
        return f"{name}mode {change['mode']}"
    return "changed"


def _lines_shown(change):
    content = _parts(change)[1] if change is not None and "dir" not in change else None
    return "\n".join("+" + _shown_line(line) for line in (content or b"").split(b"\n"))


def _shown(value):
    return "none" if value is None else "one given up" if value is False else repr(value)


def _shown_line(line):
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line.decode("utf-8", "surrogateescape"))
    return shown if len(shown) < 400 else f"{shown[:200]}…({len(line)} bytes)…{shown[-100:]}"
