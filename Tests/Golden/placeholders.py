"""Placeholders of recorded texts: places are put in before a run; what a run makes anew (dates, process numbers) is matched after it."""

import calendar
import re
import time

_MONTH = b"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = rb"\d\d:\d\d:\d\d"

_PATTERNS = {
    b"DATE": rb"\d{1,2} " + _MONTH + rb" \d{4} " + _CLOCK + rb" [+-]\d{4}",
    b"QDATE": rb"\d{1,2} " + _MONTH + rb" \d{4} " + _CLOCK,
    b"UDATE": rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + _MONTH + rb" \d\d " + _CLOCK + rb" \d{4}",
    b"STAMP": rb"\d{14}",
    b"TIME": rb"\d+",
    b"PID": rb"\d+",
    b"LEN": rb"\d+",
    b"BYTES": rb"\d+",
    b"SECS": rb"\d+",
    b"SPLIT": rb"\d+",
    b"TODO": rb".*?",
    b"PIDFILE": rb"[^/]+",
    b"MAILNAME": rb"\d+\.[^/]+\.mx\.golden\.example",
}

_FORMATS = {b"QDATE": "%d %b %Y %H:%M:%S", b"UDATE": "%a %b %d %H:%M:%S %Y", b"STAMP": "%Y%m%d%H%M%S"}
_PLACEHOLDER = re.compile(rb"<(ID\d*|" + b"|".join(sorted(_PATTERNS, key=len, reverse=True)) + rb")>")

# A clock is read before it is written, and a loaded machine takes its time in between.
SLACK = 5


def put_in(text, places):
    """`text` with the names of places, `<HOME>` and the like, replaced."""
    for name, path in places.items():
        text = text.replace(f"<{name}>".encode(), path.encode())
    return text


class Pattern:
    """A recorded text as a pattern for the text of a run."""

    def __init__(self, text):
        self.text = text
        self._groups = []
        self._regex = re.compile(self._source(text), re.S)

    def _source(self, text):
        source, seen = b"", set()
        for number, part in enumerate(_PLACEHOLDER.split(text)):
            if number % 2 == 0:
                source += re.escape(part)
            elif not part.startswith(b"ID"):
                self._groups.append(part)
                source += b"(?P<G%d>%s)" % (len(self._groups), _PATTERNS[part])
            else:
                source += b"(?P=%s)" % part if part in seen else rb"(?P<%s>\d+)" % part
                seen.add(part)
        return source

    def matches(self, text, began, ended):
        """Whether `text` is as recorded, its dates between `began` and `ended`."""
        match = self._regex.fullmatch(text)
        return match is not None and all(
            began - SLACK <= at <= ended + SLACK
            for number, kind in enumerate(self._groups, 1)
            if (at := _instant(kind, match[f"G{number}"].decode())) is not None)


def _instant(kind, text):
    """Unix seconds that a text of this kind stands for, None if it is no date."""
    if kind == b"TIME":
        return int(text)
    if kind == b"DATE":
        local, zone = text.rsplit(" ", 1)
        offset = (int(zone[1:3]) * 60 + int(zone[3:])) * 60
        return calendar.timegm(time.strptime(local, _FORMATS[b"QDATE"])) - (-offset if zone[0] == "-" else offset)
    if kind in _FORMATS:
        return calendar.timegm(time.strptime(text, _FORMATS[kind]))
    return None
