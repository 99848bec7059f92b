"""The runner: what fails is reported as failed, and nothing outlives its test."""
import os
import signal
import subprocess
import tempfile
import time
import unittest

from lab import isolation

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODES = ["loopback"] + [mode for mode in ("root", "user") if mode == "user" or os.getuid() == 0]


def works(mode):
    return mode == "loopback" or subprocess.run(
        isolation.PREFIX[mode] + isolation.PROBE, capture_output=True).returncode == 0


class RunnerTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        os.chmod(self.directory.name, 0o755)

    def tearDown(self):
        self.directory.cleanup()

    def write(self, name, text):
        os.makedirs(f"{self.directory.name}/t-{name}")
        with open(f"{self.directory.name}/t-{name}/script", "w") as file:
            file.write(text)

    def command(self):
        return [os.path.join(HERE, "run"), "--tap", "--tests", self.directory.name, "--build",
                self.directory.name]

    def run_tests(self, mode):
        return subprocess.run(self.command(), capture_output=True, text=True,
                              env=dict(os.environ, POSTERN_E2E_MODE=mode))

    def test_verdicts(self):
        self.write("1-good", "run true\n")
        self.write("2-bad", "run false\n")
        self.write("3-wrong", "do nothing\n")
        self.write("4-endless", "limit 1s\nrun sh -c 'setsid --fork sleep 987.75 >/dev/null 2>&1'\n"
                   "run sleep 60\n")
        self.write("5-unable", "needs peers\nrun true\n")
        self.write("6-unmatched", "run echo hello\n| good bye\n")
        run = self.run_tests("loopback")
        verdicts = [line for line in run.stdout.splitlines() if not line.startswith("#")]
        self.assertEqual(verdicts[:5], ["1..6", "ok 1 - 1-good", "not ok 2 - 2-bad",
                                        "not ok 3 - 3-wrong", "not ok 4 - 4-endless"])
        self.assertTrue(verdicts[5].startswith("ok 5 - 5-unable # SKIP needs Postfix's"))
        self.assertEqual(verdicts[6], "not ok 6 - 6-unmatched")
        for reason in ("script:1: run false", "no such step: do nothing", "did not end within 1 s",
                       "no line matches: good bye"):
            self.assertIn(reason, run.stdout)
        self.assertEqual(run.returncode, 1)
        self.assertFalse([pid for pid in isolation.parents()
                          if command_line(pid) == b"sleep\x00987.75\x00"])

    def test_each_mode(self):
        for mode in MODES:
            with self.subTest(mode):
                if not works(mode):
                    self.skipTest(f"{mode} is refused here")
                self.write(mode, f"run true\nrun test $$ != {os.getpid()}\n")
                run = self.run_tests(mode)
                self.assertEqual(run.returncode, 0, run.stdout)

    def test_nothing_survives(self):
        """The runner is killed; every process of its test must end, its daemons too."""
        for mode in MODES:
            with self.subTest(mode):
                if not works(mode):
                    self.skipTest(f"{mode} is refused here")
                name = f"sleeper-{mode}"
                self.write(name, "run sh -c 'setsid --fork sleep 987.25 >/dev/null 2>&1'\n"
                           "run sleep 987.5\n")
                runner = subprocess.Popen(self.command() + [name], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL,
                                          env=dict(os.environ, POSTERN_E2E_MODE=mode))
                self.wait_for(lambda: len(self.sleepers(runner.pid)) == 2, "both run")
                below = isolation.descendants_of(runner.pid)
                runner.send_signal(signal.SIGKILL)
                runner.wait()
                self.wait_for(lambda: not any(map(alive, below)), "all have ended")

    @staticmethod
    def sleepers(pid):
        return [child for child in isolation.descendants_of(pid)
                if b"987." in command_line(child) and command_line(child).startswith(b"sleep")]

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 30  # the machine may be busy
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"not so: {what}")
            time.sleep(0.02)


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def alive(pid):
    return command_line(pid) != b""
