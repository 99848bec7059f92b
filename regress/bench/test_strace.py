#!/usr/bin/python3
"""What the traces of system calls are taken to say about durability, and how calls are counted."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import call_count  # noqa: E402
import strace  # noqa: E402
from load import Failure  # noqa: E402

READ = '7 recvfrom(17<socket:[1]>, "text\\r\\nMARK\\r\\n.\\r\\n", 8192, 0, NULL, NULL) = 15'
DURABLE = '8 pwritev2(19</s/1>, [{iov_base="text MARK", iov_len=9}], 1, 0, RWF_DSYNC) = 9'
WRITE = '8 write(19</s/1>, "text MARK", 9) = 9'
SYNC = '8 fdatasync(19</s/1>) = 0'
REPLY = '7 sendto(17<socket:[1]>, "250 queued\\r\\n", 12, MSG_NOSIGNAL, NULL, 0) = 12'


def judge(*lines, spool=None):
    return strace.judge(strace.parse(lines), "MARK", spool)


class OrderTest(unittest.TestCase):
    def test_in_order(self):
        for how, lines in {
                "pwritev2 with RWF_DSYNC": [DURABLE],
                "fdatasync": [WRITE, SYNC],
                "fsync": [WRITE, '9 fsync(3</s/1>) = 0'],
                "write with O_DSYNC": ['8 openat(AT_FDCWD, "1", O_WRONLY|O_DSYNC) = 19</s/1>', WRITE],
        }.items():
            with self.subTest(how):
                verdict = judge(READ, *lines, REPLY)
                self.assertTrue(verdict.in_order)
                self.assertEqual(verdict.how, how)
                self.assertEqual(verdict.reply, "250 queued")

    def test_file_without_name(self):
        self.assertTrue(judge(READ, WRITE.replace("</s/1>", "</s/#5>(deleted)"),
                              SYNC.replace("</s/1>", "</s/#5>(deleted)"), REPLY).in_order)

    def test_not_in_order(self):
        for name, lines in {
                "no sync": [READ, WRITE, REPLY],
                "reply before the write": [READ, REPLY, DURABLE],
                "reply before the sync": [READ, WRITE, REPLY, SYNC],
                "sync of another file": [READ, WRITE, '8 fdatasync(20</s/2>) = 0', REPLY],
                "failed sync": [READ, WRITE, '8 fdatasync(19</s/1>) = -1 EIO (Input/output error)',
                                REPLY],
                "failed write": [READ, DURABLE.replace("= 9", "= -1 EIO (Input/output error)"), REPLY],
                "something else is written": [READ, DURABLE.replace("MARK", "else"), REPLY],
                "sync before the write": [READ, SYNC, WRITE, REPLY],
                "reply while the sync goes on": [READ, WRITE, SYNC.replace(" = 0", "").replace(
                    ")", " <unfinished ...>"), REPLY, "8 <... fdatasync resumed>) = 0"],
                "reply while the write goes on": [READ, DURABLE.replace(
                    ") = 9", " <unfinished ...>"), REPLY, "8 <... pwritev2 resumed>) = 9"],
        }.items():
            with self.subTest(name):
                self.assertFalse(judge(*lines).in_order)

    def test_calls_of_others_between_begin_and_end(self):
        verdict = judge(READ, WRITE, "8 fdatasync(19</s/1> <unfinished ...>",
                        '5 read(3</x>, "", 1) = 0', "8 <... fdatasync resumed>) = 0", REPLY)
        self.assertTrue(verdict.in_order)
        self.assertEqual((verdict.read, verdict.synced, verdict.replied), (1, 5, 6))

    def test_reply_begins_before_the_sync_ends(self):
        self.assertFalse(judge(READ, WRITE, "8 fdatasync(19</s/1> <unfinished ...>",
                               REPLY.replace(") = 12", " <unfinished ...>"),
                               "8 <... fdatasync resumed>) = 0",
                               "7 <... sendto resumed>) = 12").in_order)

    def test_all_of_the_spool(self):
        other = '8 write(20</s/2>, "record", 6) = 6'
        self.assertTrue(judge(READ, DURABLE, other, REPLY).in_order)
        verdict = judge(READ, DURABLE, other, REPLY, spool="/s")
        self.assertFalse(verdict.in_order)
        self.assertEqual(verdict.how, "no sync of 2")
        self.assertTrue(judge(READ, DURABLE, other, '8 fsync(20</s/2>) = 0', REPLY,
                              spool="/s").in_order)
        self.assertTrue(judge(READ, DURABLE, other, REPLY, spool="/t").in_order)

    def test_same_socket_by_another_descriptor(self):
        self.assertTrue(judge(READ, DURABLE, REPLY.replace("17<", "18<")).in_order)

    def test_trace_without_it(self):
        for lines in ([DURABLE, REPLY], [READ, DURABLE], [READ, DURABLE,
                      REPLY.replace("250", "451")]):
            with self.assertRaises(Failure):
                judge(*lines)


class CountTest(unittest.TestCase):
    def test_perf(self):
        table = ("   syscall            calls  errors  total       min\n"
                 "   --------------- --------  ------ -------- ---------\n")
        self.assertEqual(call_count.parse_perf((
            "\n Summary of events:\n\n postern-queue (261), 60 events, 19.9%\n\n" + table +
            "   epoll_wait             7      0    27.295     0.000\n"
            "   pwritev2              10      5     0.352     0.009\n\n\n"
            " smtpd: queue (262), 2 events, 0.9%\n\n" + table +
            "   close                  1      0     0.065     0.065\n").splitlines()),
            {261: {"epoll_wait": 7, "pwritev2": 10}, 262: {"close": 1}})

    def test_strace(self):
        self.assertEqual(call_count.parse_strace([
            "% time     seconds  usecs/call     calls    errors syscall\n",
            "------ ----------- ----------- --------- --------- ----------------\n",
            " 29.59    0.001116         139         8           mmap\n",
            "  9.33    0.000352         176        12         3 openat\n",
            "------ ----------- ----------- --------- --------- ----------------\n",
            "100.00    0.003771          65        20         3 total\n"]),
            {"mmap": 8, "openat": 12})


if __name__ == "__main__":
    unittest.main()
