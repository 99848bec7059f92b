"""Runs one test where it is kept apart: python3 -m lab.inside TEST DIRECTORY BUILD MODE.

What it prints is for people: nothing if all is well, the reason and the last lines of every log if
not. Exit status: 0 passed, 1 failed, 2 the script is wrong, 77 cannot be run here.
"""
import os
import re
import socket
import sys
import traceback

from . import dns, isolation, script, verbs
from .lab import Failure, Lab

PASSED, FAILED, BROKEN, SKIPPED = 0, 1, 2, 77
LOG_LINES = 40


def obstacle(parsed, lab):
    """Why the test cannot be run here, or None."""
    uses = "\n".join(step.text for step in parsed.steps)
    if "namespaces" in parsed.needs and not lab.network.isolated:
        return "needs namespaces, which are refused here"
    if "root" in parsed.needs and lab.mode != "root":
        return "needs root"
    if "peers" in parsed.needs and not os.path.exists(
            os.path.join(lab.build, "peers/bin/smtp-source")):
        return "needs Postfix's smtp-source and smtp-sink, which could not be downloaded"
    for need, name in (("dovecot", "Dovecot"), ("exim4", "Exim"), ("haproxy", "HAProxy"),
                       ("microsocks", "microsocks"),
                       ("opensmtpd", "OpenSMTPD"), ("postgres", "PostgreSQL"),
                       ("redis-server", "Redis"), ("slapd", "OpenLDAP")):
        if need in parsed.needs and not os.path.exists(
                os.path.join(lab.build, "peers/bin", need)):
            return f"needs {name}, which could not be downloaded"
    if ("start dns" in uses or "nsd" in parsed.needs) and dns.find_nsd(lab.build) is None:
        return "needs nsd"
    if not lab.network.isolated and re.search(r"^start sink \w+(?!.* port)", uses, re.MULTILINE) \
            and not may_bind(25):
        return "needs port 25, which only root may use without namespaces"
    return None


def may_bind(port):
    try:
        with socket.create_server(("127.0.0.1", port), reuse_port=True):
            return True
    except PermissionError:
        return False
    except OSError:
        return True  # somebody has it on that address, but it is allowed


def perform(lab, parsed):
    """Runs the script to its end or first failure. Returns the reasons for failure."""
    try:
        for step in parsed.steps:
            lab.transcript.write(f"[{step.number}] {step.text}\n")
            try:
                verbs.perform(lab, step)
            except (Failure, OSError, RuntimeError) as error:
                return [f"script:{step.number}: {step.text}\n  {error or repr(error)}"]
        return end_gateway(lab)
    finally:
        lab.close()


def end_gateway(lab):
    """A gateway that still runs must drain and end in order."""
    if lab.gateway.process is None:
        return []
    try:
        status = lab.gateway.stop()
    except RuntimeError as error:
        return [str(error)]
    return [] if status == 0 else [f"smtpd ended with {status} at the end of the test"]


def ends_of_logs(directory):
    text = ""
    for name in sorted(os.listdir(directory)):
        if name.endswith(".log") and name != "output.log":
            with open(os.path.join(directory, name), errors="replace") as file:
                lines = file.read().splitlines()
            if lines:
                text += "\n".join([f"--- the end of {name}", *lines[-LOG_LINES:], ""])
    return text


def main(test, directory, build, mode):
    lab = Lab(test, directory, build, mode)
    try:
        with open(os.path.join(test, "script")) as file:
            parsed = script.parse(file.read(), lab.variables)
        verbs.check(parsed)
        why = obstacle(parsed, lab)
        if why:
            print(why)
            return SKIPPED
        reasons = perform(lab, parsed) + lab.faults()
    except script.ScriptError as error:
        print(error)
        return BROKEN
    except Exception:  # our own fault: say where
        traceback.print_exc(file=sys.stdout)
        print(ends_of_logs(directory))
        return BROKEN
    if not reasons:
        return PASSED
    print("\n".join(reasons))
    print(ends_of_logs(directory))
    return FAILED


if __name__ == "__main__":
    sys.exit(isolation.become_init(lambda: main(*sys.argv[1:])))
