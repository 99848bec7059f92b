"""How a test is kept apart from the machine that it runs on, and how it ends with all that it made.

Three modes, the first that works is taken:
  root      namespaces of network, mounts and processes, made by root
  user      the same inside a user namespace, for an ordinary user
  loopback  nothing but addresses 127.0.25.x, where namespaces are refused

In the first two a test is process 1 of a process namespace: when it ends, for whatever reason, the
kernel ends every process in there, and the networks, held by nothing else, vanish with them. In
the last one the first process of a test ends all others (become_init).
"""
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
PREFIX = {"root": NAMESPACES,
          "user": NAMESPACES + ["--user", "--map-root-user"],
          "loopback": []}
PROBE = ["sh", "-c", "ip link add veth0 type veth peer name veth1 && mount -t tmpfs none /mnt"]


def syscall(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def find_mode():
    """The best mode that works here. POSTERN_E2E_MODE overrides it."""
    forced = os.environ.get("POSTERN_E2E_MODE")
    if forced:
        return forced
    for mode in ["root"] if os.getuid() == 0 else ["user"]:
        try:
            if subprocess.run(PREFIX[mode] + PROBE, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=20).returncode == 0:
                return mode
        except (OSError, subprocess.TimeoutExpired):
            pass
    return "loopback"


def die_with_parent():
    syscall("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def become_init(main):
    """Runs main() in a child and, as process 1, reaps what is left to it until that child ends.

    Where this process is not process 1 (mode loopback) the orphans come to it all the same.
    Standard input is the runner's lifeline: when it is closed, because the test's time is over or
    the runner has died, everything below this process is ended."""
    syscall("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        die_with_parent()
        status = 1
        try:
            status = main()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    threading.Thread(target=watch_lifeline, daemon=True).start()
    status = None
    while status is None:
        pid, code = os.wait()
        if pid == child:
            status = os.waitstatus_to_exitcode(code)
    end_descendants()
    return status if status >= 0 else 128 - status


def watch_lifeline():
    while os.read(0, 1):
        pass
    end_descendants()
    os._exit(128 + signal.SIGKILL)


def end_descendants():
    """Ends all that was left behind. In a process namespace the kernel would; on loopback we
    must. The time limit is for what cannot be ended, such as a process in the middle of a sync."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = descendants_of(os.getpid())
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass  # the other thread has waited for it
        time.sleep(0.01)


def parents():
    """Every process and its parent."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    found[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                pass  # it has ended meanwhile
    return found


def descendants_of(pid):
    """All processes below this one."""
    tree = parents()
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in tree.items() if parent in new} - found
        found |= new
    return found
