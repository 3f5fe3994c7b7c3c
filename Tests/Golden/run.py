#!/usr/bin/python3
"""Runs recorded cases against the programs of this checkout. README.md tells what the files are and what the counts mean."""

import argparse
import json
import os
import pathlib
import sys

import cases
import lists
import namespaces
import report
from pool import Pool

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=ROOT / "Tests/Golden/qmail", help="folder with the cases, *.jsonl")
    parser.add_argument("--bin", default=ROOT / ".build/release", help="folder with the programs under test")
    parser.add_argument("--lists", type=pathlib.Path, default=lists.PATH, help="file with the deliberate differences")
    parser.add_argument("--only", action="append", default=[], metavar="ID|PROGRAM|FILE", help="only these; may be given several times")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cases at a time")
    parser.add_argument("--json", action="store_true", help="one JSON object for each case instead of the report")
    return parser.parse_args()


def chosen(every, only):
    """The cases that `--only` names; all without it."""
    names = set(only)
    found = [case for case in every if not names or names & {case.id, case.name, case.program, case.file}]
    for name in names:
        if not any(name in (case.id, case.name, case.program, case.file) for case in every):
            raise SystemExit(f"golden: no case, program or file is named {name}")
    return found


def outcome(case, deliberate, worker):
    """(class, differences) of one case: what a report counts."""
    entry = deliberate.find(case)
    if entry and entry.kind == "not-applicable":
        return entry.kind, [entry.why]
    answer = worker.judge(case)
    verdict, differences = answer["verdict"], answer["differences"]
    if verdict in ("absent", "rootless"):
        return verdict, differences
    if verdict == "same" and entry and not entry.where:
        return "wrong", [f"it is answered as recorded; its entry in differences.toml is stale: {entry.why}"]
    if verdict == "same":
        return "recorded", []
    return judged_by(entry, case, worker) if entry else ("wrong", differences)


def judged_by(entry, case, worker):
    """A deliberate difference: as the entry says, if it says what Martlet answers instead."""
    answer = entry.answer(case)
    if answer is not None:
        record = {**case.record, "expect": {**case.expect, **answer}}
        judged = worker.judge(cases.Case(case.file, record))
        if judged["verdict"] != "same":
            return "wrong", ["it is answered neither as recorded nor as differences.toml says:", *judged["differences"]]
    return "different", [entry.why]


def main():
    options = arguments()
    every = cases.read(options.folder)
    if not every:
        raise SystemExit(f"golden: no cases in {options.folder}")
    deliberate = lists.Lists(options.lists)
    selected = chosen(every, options.only)
    refusal = namespaces.are_allowed()
    if refusal:
        print(f"golden: not run, {len(selected)} cases: this machine grants no namespaces to this account ({refusal})")
        return 0
    progress = report.Progress(len(selected), quiet=options.json)
    with Pool(pathlib.Path(options.bin).resolve(), min(options.jobs, len(selected))) as pool:
        results = []
        for case, (kind, differences) in pool.map(lambda case, worker: outcome(case, deliberate, worker), selected):
            results.append((case, kind, differences))
            progress.step(kind == "wrong")
    progress.end()
    order = {case.name: number for number, case in enumerate(selected)}
    results.sort(key=lambda result: order[result[0].name])
    unused = [] if options.only else deliberate.unused(every)
    if options.json:
        for case, kind, differences in results:
            print(json.dumps({"file": case.file, "id": case.id, "program": case.program, "class": kind, "text": differences}, ensure_ascii=False))
    else:
        report.show(results, unused)
    return 1 if unused or any(kind == "wrong" for _, kind, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
