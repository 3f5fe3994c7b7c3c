"""Workers, each in namespaces of its own; a case goes to whichever is free."""

import concurrent.futures
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile

import namespaces

# A case ends by its own limits; this is for a worker that hangs in spite of them.
LIMIT = 180


class Worker:
    """One process in its namespaces."""

    def __init__(self, programs):
        self._programs = programs
        self._process = None

    def judge(self, case):
        """The worker's answer: {verdict, differences, seconds}."""
        if self._process is None:
            self._start()
        alarm = concurrent.futures.ThreadPoolExecutor(1)
        try:
            return alarm.submit(self._ask, case).result(LIMIT)
        except (concurrent.futures.TimeoutError, OSError, ValueError):
            self.stop()
            return {"verdict": "differs", "differences": [f"its worker died, or took longer than {LIMIT} s"], "seconds": LIMIT}
        finally:
            alarm.shutdown(wait=False)

    def _start(self):
        self._scratch = tempfile.mkdtemp(prefix="martlet-golden-")
        os.chmod(self._scratch, 0o755)
        program = pathlib.Path(__file__).with_name("worker.py")
        self._process = subprocess.Popen(
            namespaces.command([sys.executable, "-B", program, self._programs, self._scratch]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def _ask(self, case):
        self._process.stdin.write(json.dumps([case.file, case.record]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self):
        """Ends the worker and everything in its namespaces."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        os.rmdir(self._scratch)


class Pool:
    """`map` gives (case, result) in the order in which they end."""

    def __init__(self, programs, size):
        self._workers = [Worker(programs) for _ in range(size)]
        self._free = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers:
            worker.stop()

    def map(self, function, selected):
        def call(case):
            worker = self._free.get()
            try:
                return case, function(case, worker)
            finally:
                self._free.put(worker)

        with concurrent.futures.ThreadPoolExecutor(len(self._workers)) as executor:
            for future in concurrent.futures.as_completed([executor.submit(call, case) for case in selected]):
                yield future.result()
