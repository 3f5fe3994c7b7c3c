"""The runner of recorded cases itself: it must see what is wrong. Tests/Golden/README.md tells what the cases are."""
import json
import os
import pathlib
import subprocess

import martlet as harness

RUN = harness.ROOT / "Tests/Golden/run.py"
CASE = {
    "id": "made-001", "section": "12.2 maildirmake", "program": "maildirmake", "argv": ["m"], "env": {}, "stdin": "", "files": {"home/": ""},
    "expect": {"exit": 0, "stdout": "", "stderr": "", "files": {
        name: {"dir": True, "mode": "0700"} for name in ("home/m/", "home/m/cur/", "home/m/new/", "home/m/tmp/")}},
}


def run(folder, *cases, lists=""):
    (folder / "made.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (folder / "lists.toml").write_text(lists)
    programs = pathlib.Path(os.environ.get("MARTLET_BIN", harness.ROOT / ".build/release"))
    return subprocess.run(
        [RUN, "--bin", programs, "--lists", folder / "lists.toml", folder], capture_output=True, text=True, timeout=120)


def changed(**expect):
    return {**CASE, "expect": {**CASE["expect"], **expect}}


def test_a_case_as_recorded_passes(tmp_path):
    result = run(tmp_path, CASE)
    assert result.returncode == 0 and "wrong: " not in result.stdout, result.stdout


def test_each_kind_of_difference_is_wrong(tmp_path):
    without = {name: change for name, change in CASE["expect"]["files"].items() if name != "home/m/new/"}
    wrong = {
        "exit code: recorded 7, now 0": changed(exit=7), "standard output:": changed(stdout="x\n"), "standard error:": changed(stderr="x\n"),
        "messages given to the queue: recorded 1, now 0": changed(message="", envelope="F\0\0"),
        "home/m/new/: unchanged when recorded": changed(files=without),
        "home/m/new/: recorded as a new file": changed(files={**CASE["expect"]["files"], "home/m/new/": {"content": "", "mode": "0600"}}),
        "the runner does not know mystery": {**CASE, "mystery": 1}, "the runner does not know expect.mystery": changed(mystery=1),
    }
    cases = [{**case, "id": f"made-{number}"} for number, case in enumerate(wrong.values())]
    result = run(tmp_path, *cases)
    assert result.returncode == 1
    for number, text in enumerate(wrong):
        shown = result.stdout.split(f"wrong: made/made-{number} ", 1)[1].split("wrong: ", 1)[0]
        assert text in shown, result.stdout


def test_a_program_that_is_not_there_is_counted_and_named(tmp_path):
    result = run(tmp_path, {**CASE, "program": "nosuch"})
    assert result.returncode == 0 and "not built yet" in result.stdout and "nosuch" in result.stdout, result.stdout


def test_deliberate_differences_are_held_to_their_word(tmp_path):
    entry = '[[different]]\ncases = ["made/made-001"]\nwhy = "because"\n'
    assert run(tmp_path, changed(exit=7), lists=entry).returncode == 0
    stale = run(tmp_path, CASE, lists=entry)
    assert stale.returncode == 1 and "stale" in stale.stdout
    assert run(tmp_path, changed(exit=7), lists=entry + "instead = { exit = 0 }\n").returncode == 0
    other = run(tmp_path, changed(exit=7), lists=entry + "instead = { exit = 8 }\n")
    assert other.returncode == 1 and "neither" in other.stdout
    ruled = entry.replace("made/made-001", "maildirmake") + 'where = { "argv.*" = "m" }\n'
    assert run(tmp_path, changed(exit=7), lists=ruled).returncode == 0 and run(tmp_path, CASE, lists=ruled).returncode == 0
    assert run(tmp_path, changed(exit=7), lists=ruled.replace('"m"', '"n"')).returncode == 1
    unused = run(tmp_path, CASE, lists=entry.replace("made-001", "made-002"))
    assert unused.returncode == 1 and "no such case" in unused.stdout
