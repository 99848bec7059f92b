"""Running a test program and counting its cases: by the Test Anything Protocol if it speaks that."""
import dataclasses
import os
import re
import signal
import subprocess
import time

PLAN = re.compile(r"^1\.\.(\d+)$", re.MULTILINE)
# CMocka 1.1.5 writes "not ok 3 # SKIP name", everybody else "ok 3 - name # SKIP why".
CASE = re.compile(r"^(not )?ok \d+(?: - | )?(.*)$")
SHOWN_LINES = 60  # of the output of a program that failed without saying which case


@dataclasses.dataclass
class Program:
    name: str
    command: list
    limit: float  # seconds; None: for ever
    environment: dict
    directory: str


@dataclasses.dataclass
class Result:
    name: str
    output: str = ""
    seconds: float = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failure_lines: list = dataclasses.field(default_factory=list)
    skip_lines: list = dataclasses.field(default_factory=list)


def execute(program):
    """Returns (standard output, all output, exit status or None if it ran out of time).

    The program and what it started end with it: they are a process group of their own."""
    errors_path = os.path.join(program.directory, f".{program.name}.{os.getpid()}.stderr")
    with open(errors_path, "w+b") as errors:
        os.unlink(errors_path)
        process = subprocess.Popen(program.command, cwd=program.directory, env=program.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                   start_new_session=True)
        try:
            out, status = process.communicate(timeout=program.limit)[0], process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, status = process.communicate()[0], None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        errors.seek(0)
        err = errors.read()
    out, err = out.decode(errors="replace"), err.decode(errors="replace")
    return out, out + ("\n--- standard error\n" + err if err else ""), status


def count(result, out, output, status):
    """Fills in what the cases say. A promised case that did not come, and an exit status that no
    case explains, are failures too."""
    plan = PLAN.search(out)
    if plan is None:
        result.passed, result.failed = (1, 0) if status == 0 else (0, 1)
    else:
        in_failure = False
        for line in out.splitlines():
            case = CASE.match(line)
            if case is None:
                if in_failure and line.startswith("#"):
                    result.failure_lines.append(line)
                continue
            in_failure = False
            if "# SKIP" in line:
                result.skipped += 1
                result.skip_lines.append(case[2].replace("# SKIP ", "").strip())
            elif case[1]:
                result.failed += 1
                result.failure_lines.append(line)
                in_failure = True
            else:
                result.passed += 1
        lost = int(plan[1]) - result.passed - result.failed - result.skipped
        if lost > 0:
            result.failed += lost
            result.failure_lines.append(f"{lost} case(s) did not finish")
    if status is None:
        result.failure_lines.append("ran out of time")
    if status != 0 and result.failed == 0:
        result.failed += 1
    if result.failed and (not result.failure_lines or status is None or (status or 0) < 0):
        ending = "ran out of time" if status is None else f"exit status {status}"
        result.failure_lines += [ending] + output.splitlines()[-SHOWN_LINES:]


def run(program):
    result = Result(program.name)
    begin = time.monotonic()
    try:
        out, result.output, status = execute(program)
    except OSError as error:
        out, result.output, status = "", str(error), 127
    result.seconds = time.monotonic() - begin
    count(result, out, result.output, status)
    return result
