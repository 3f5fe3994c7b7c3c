"""The table: at a terminal with progress, in a pipe without; as JSON and as Markdown for docs/benchmarks.md."""

import dataclasses
import json
import statistics
import sys

TITLE, VALUE, RATIO = 78, 13, 8


@dataclasses.dataclass
class Row:
    figure: object
    # {"Martlet": [each run], "Postfix": [each run]}; a row whose title names another peer has that.
    values: dict

    def median(self, name):
        return statistics.median(self.values[name]) if self.values.get(name) else None

    @property
    def peer(self):
        return next((name for name in self.values if name != "Martlet"), "Postfix")

    @property
    def ratio(self):
        """How many times better Martlet is."""
        ours, theirs = self.median("Martlet"), self.median(self.peer)
        if not ours or not theirs:
            return None
        return ours / theirs if self.figure.more_is_better else theirs / ours

    def cells(self):
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}x"
        medians = [text(self.median(name), self.figure.unit) for name in ("Martlet", self.peer)]
        return [self.figure.title, *medians, ratio, self.figure.aim]


def text(value, unit):
    if value is None:
        return ""
    formats = {"/s": "{:,.0f}/s", "s": "{:.2f} s", "ms": "{:.2f} ms", "KiB": "{:,.1f} KiB", "bytes": "{:,.0f} bytes", "%": "{:.0f} %", "": "{:.3f}"}
    return formats[unit].format(value)


class Report:
    def __init__(self, runs, scale):
        self.runs, self.scale = runs, scale
        self.tables = []
        self.notes = []
        self.failures = []
        self.shows_progress = sys.stderr.isatty()

    def note(self, line):
        self.notes.append(line)
        self.say(line)

    def say(self, line):
        self.progress("")
        print(line, flush=True)

    def progress(self, line):
        if self.shows_progress:
            print(f"\r\x1b[K{line[:100]}", end="", file=sys.stderr, flush=True)

    def table(self, title):
        self.tables.append((title, []))
        self.say(f"\n{title}\n{'':{TITLE}} {'Martlet':>{VALUE}} {'Postfix':>{VALUE}} {'ratio':>{RATIO}}  aim")

    def row(self, row):
        self.tables[-1][1].append(row)
        title, ours, theirs, ratio, aim = row.cells()
        self.say(f"{title:{TITLE}} {ours:>{VALUE}} {theirs:>{VALUE}} {ratio:>{RATIO}}  {aim}".rstrip())

    def failed(self, title, error):
        self.failures.append(f"{title}: {error}")
        self.say(f"{title}: FAILED: {error}")

    def json(self):
        rows = [
            {"disk": title, "title": row.figure.title, "unit": row.figure.unit, "moreIsBetter": row.figure.more_is_better, "aim": row.figure.aim,
             "values": row.values, "ratio": row.ratio}
            for title, rows in self.tables for row in rows]
        whole = {"notes": self.notes, "runs": self.runs, "loadDivisor": self.scale, "rows": rows, "failures": self.failures}
        return json.dumps(whole, indent=1) + "\n"

    def markdown(self):
        lines = ["<!-- Written by Tools/bench --markdown; change that, not this. -->", ""]
        lines += [line for note in self.notes for line in (note, "")]
        for title, rows in self.tables:
            lines += [f"### {title}", "", "| | Martlet | Postfix | ratio | aim |", "|---|---:|---:|---:|---|"]
            lines += [f"| {' | '.join(row.cells())} |" for row in rows]
            lines.append("")
        lines += [f"Failed: {failure}" for failure in self.failures]
        return "\n".join(lines).rstrip() + "\n"
