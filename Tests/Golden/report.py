"""What a person sees: progress on a terminal, wrong cases with their differences, the table of counts."""

import collections
import sys

CLASSES = {
    "recorded": "as recorded", "different": "different on purpose", "wrong": "wrong", "not-applicable": "not applicable", "absent": "not built yet",
    "rootless": "needs root",
}


class Progress:
    """One line on a terminal that counts; nothing elsewhere."""

    def __init__(self, total, quiet):
        self._total, self._done, self._wrong = total, 0, 0
        self._shows = sys.stderr.isatty() and not quiet

    def step(self, is_wrong):
        self._done += 1
        self._wrong += is_wrong
        if self._shows:
            print(f"\rgolden: {self._done} of {self._total}, {self._wrong} wrong", end="", file=sys.stderr, flush=True)

    def end(self):
        if self._shows:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def show(results, unused):
    for case, kind, differences in results:
        if kind == "wrong":
            _show_wrong(case, differences)
    for pattern in unused:
        print(f"golden: differences.toml names {pattern}, and there is no such case")
    _show_counts(results)


def _show_wrong(case, differences):
    print(f"wrong: {case.name} ({case.program}, {case.record['section']}) {case.record.get('note', '')}".rstrip())
    for text in differences:
        print("\n".join("    " + line for line in text.splitlines()))
    print()


def _show_counts(results):
    table = collections.defaultdict(collections.Counter)
    for case, kind, _ in results:
        table[case.kind][kind] += 1
    total = sum(table.values(), collections.Counter())
    shown = [kind for kind in CLASSES if total[kind] or kind in ("recorded", "wrong")]
    width = max(map(len, [*table, "program"]))
    print(f"{'program':{width}}  " + "  ".join(CLASSES[kind] for kind in shown))
    for name, counts in [*sorted(table.items()), ("all", total)]:
        print(f"{name:{width}}  " + "  ".join(f"{counts[kind] or '·':>{len(CLASSES[kind])}}" for kind in shown))


