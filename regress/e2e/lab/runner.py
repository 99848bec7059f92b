"""Runs the tests, each in its own isolation and with its own time limit, and reports."""
import concurrent.futures
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import time

from . import inside, isolation, script
from .lab import fresh

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
AT_ONCE = 2
LONGEST_DIRECTORY = 60  # of the 107 octets of a socket's path
WORD = {inside.PASSED: "PASS", inside.SKIPPED: "SKIP"}


@dataclasses.dataclass
class Result:
    name: str
    status: int
    output: str
    seconds: float


def all_tests(folder):
    return sorted(name.removeprefix("t-") for name in os.listdir(folder)
                  if name.startswith("t-") and os.path.exists(f"{folder}/{name}/script"))


def limit_of(test):
    """The script's own limit, read without running it."""
    with open(os.path.join(test, "script")) as file:
        text = file.read()
    match = re.search(r"^limit (\S+)$", text, re.MULTILINE)
    limit = script.seconds(match[1]) if match else script.DEFAULT_LIMIT
    if " processes at random " in text:
        limit += float(os.environ.get("POSTERN_KILL_SECONDS") or 0)
    return limit


def work_directory(build):
    """Where the tests write. The gateway's users must be able to reach it, and the path of a socket
    must be short: so it is outside the source tree if that is closed to others (such as below
    /root) or lies deep."""
    directory = os.path.join(build, "e2e")
    elsewhere = os.path.join(tempfile.gettempdir(), f"postern-e2e-{os.getuid()}")
    if len(directory) > LONGEST_DIRECTORY:
        return elsewhere
    path = directory
    while path != "/":
        if os.path.exists(path) and not os.stat(path).st_mode & 0o001:
            return elsewhere
        path = os.path.dirname(path)
    return directory


def run_test(folder, name, build, mode, root):
    test, directory = os.path.join(folder, "t-" + name), os.path.join(root, name)
    fresh(directory)
    command = [*isolation.PREFIX[mode], "/usr/bin/python3", "-B", "-m", "lab.inside", test,
               directory, build, mode]
    began, limit = time.monotonic(), limit_of(test)
    output_path = os.path.join(directory, "output.log")
    with open(output_path, "wb") as output:
        process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=output,
                                   stderr=output)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            end(process)
            status = inside.FAILED
            output.write(f"did not end within {limit:g} s\n".encode())
            output.write(inside.ends_of_logs(directory).encode())
    process.stdin.close()
    with open(output_path, errors="replace") as file:
        text = file.read()
    return Result(name, status, text, time.monotonic() - began)


def end(process):
    """Ends a test and everything that it started: see isolation.become_init."""
    process.stdin.close()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def in_tap(number, result):
    first = result.output.strip().split("\n")[0]
    if result.status == inside.SKIPPED:
        return f"ok {number} - {result.name} # SKIP {first}"
    if result.status == inside.PASSED:
        return f"ok {number} - {result.name}"
    return "\n".join([f"not ok {number} - {result.name}"] +
                     ["# " + line for line in result.output.splitlines()])


def in_words(result):
    line = f"{WORD.get(result.status, 'FAIL')} {result.name} ({result.seconds:.1f} s)"
    if result.status == inside.PASSED:
        return line
    return line + "\n" + "\n".join("    " + text for text in result.output.splitlines())


def run_all(folder, names, build, jobs=AT_ONCE, tap=False):
    """Returns the number of tests that failed."""
    mode = isolation.find_mode()
    if mode == "loopback":
        jobs = 1  # they share the addresses
    root = work_directory(build)
    os.makedirs(root, exist_ok=True)
    if tap:
        print(f"1..{len(names)}\n# hosts: {mode}; logs: {root}", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda name: run_test(folder, name, build, mode, root), names)
        for number, result in enumerate(results, 1):
            failed += result.status not in WORD
            print(in_tap(number, result) if tap else in_words(result), flush=True)
    return failed


def main():
    import argparse
    parser = argparse.ArgumentParser(description="Run end-to-end tests (all, or those named).")
    parser.add_argument("--build", default=os.path.join(HERE, "../../build"))
    parser.add_argument("--tap", action="store_true", help="Test Anything Protocol")
    parser.add_argument("-j", type=int, default=AT_ONCE, help="tests at once")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("name", nargs="*")
    parser.add_argument("--tests", default=HERE, help="the folder of the tests' folders")
    options = parser.parse_args()
    known = all_tests(options.tests)
    if options.list:
        print("\n".join(known))
        return 0
    names = [name.removeprefix("t-").rstrip("/") for name in options.name] or known
    for name in names:
        if name not in known:
            sys.exit(f"no test {name}; there are: {' '.join(known)}")
    return 1 if run_all(os.path.abspath(options.tests), names, os.path.abspath(options.build),
                        options.j, options.tap) else 0
