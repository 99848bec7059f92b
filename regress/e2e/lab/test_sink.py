"""The sink: it misbehaves as told, and notices what a relay must not do."""
import socket
import tempfile
import unittest

from lab import hosts, load, sink, smtp_client


class SinkTest(unittest.TestCase):
    def setUp(self):
        network = hosts.Network("loopback")
        self.directory = tempfile.TemporaryDirectory()
        self.sink = sink.Sink("mx", network.hosts["mx1"], "127.0.0.1", 0,
                              self.directory.name + "/sink.log")
        self.sink.start()
        self.address = self.sink.listener.getsockname()

    def tearDown(self):
        self.sink.stop()
        self.sink.log.close()
        self.directory.cleanup()

    def client(self):
        return smtp_client.Client(socket.create_connection(self.address, 5))

    def rule(self, stage, action, argument="", remaining=-1, pattern=""):
        self.sink.rules.append(sink.Rule(stage, action, argument, remaining, pattern))

    def send(self, content=b"a\r\n", recipients=("r@x",)):
        client = self.client()
        client.greet("me")
        client.send_message("s@x", list(recipients), content)
        client.quit()

    def test_keeps_messages_as_they_were(self):
        self.send(b"a\r\n.b\r\n..\r\n\r\n.\r\n")
        self.assertEqual(self.sink.messages[0].content, b"a\r\n.b\r\n..\r\n\r\n.\r\n")
        self.assertEqual(self.sink.messages[0].lines()[:2], ["MAIL FROM:<s@x>", "RCPT TO:<r@x>"])
        self.assertEqual(self.sink.faults, [])

    def test_an_empty_message_is_one(self):
        self.send(b"")
        self.assertEqual(self.sink.messages[0].content, b"")

    def test_rules(self):
        for stage in ("connect", "ehlo", "mail", "rcpt", "data", "content"):
            for action, error in (("reply", smtp_client.Refused), ("close", OSError),
                                  ("reset", OSError), ("garbage", OSError), ("flood", OSError)):
                with self.subTest(stage=stage, action=action):
                    self.rule(stage, action, "451 4.0.0 No", 1)
                    with self.assertRaises(error):
                        self.send()
        self.assertEqual(self.sink.messages, [])
        self.send()  # all rules are used up
        self.assertEqual(len(self.sink.messages), 1)

    def test_a_stalled_client_gets_nothing(self):
        self.rule("mail", "stall")
        client = self.client()
        client.greet("me")
        client.send(b"MAIL FROM:<a@x>\r\n")
        with self.assertRaises(TimeoutError):
            client.read_reply(0.3)

    def test_a_rule_for_some_recipients(self):
        self.rule("rcpt", "reply", "550 5.1.1 No", pattern="nobody@")
        self.send()
        with self.assertRaises(smtp_client.Refused):
            self.send(recipients=["r@x", "nobody@x"])

    def test_faults(self):
        for octets, fault in ((b"EHLO me\n", "bare LF"), (b"EHLO me \r\n", "bad greeting"),
                              (b"EHLO me\r\nMAIL FROM: <a>\r\n", "before the reply"),
                              (b"NONSENSE\r\n", "unknown command"),
                              (b"HELO me\r\nMAIL FROM:<a@x\r\n", "bad syntax"),
                              (b"MAIL FROM:<a@x>\r\n", "out of order"),
                              (b"NOOP " + b"x" * 5000 + b"\r\n", "command line of")):
            with self.subTest(octets[:30]):
                self.sink.faults.clear()
                client = self.client()
                client.expect("connect", "220")
                client.send(octets)
                client.connection.shutdown(socket.SHUT_WR)
                while client.read_line() is not None:
                    pass
                self.assertIn(fault, " ".join(self.sink.faults))

    def test_a_bare_line_feed_in_the_content_is_a_fault(self):
        self.send(b"a\nb\r\n")
        self.assertIn("bare CR or LF", self.sink.faults[0])

    def test_parameters_must_have_been_offered(self):
        self.sink.offered = []
        client = self.client()
        client.greet("me")
        client.command("MAIL FROM:<a@x> SIZE=5", "250")
        self.assertIn("not offered", self.sink.faults[0])

    def test_load_counts_what_was_answered(self):
        self.rule("content", "close", remaining=3)
        self.rule("rcpt", "reply", "451 4.0.0 Later", remaining=2)
        one = load.Load("load", lambda: socket.create_connection(self.address, 5), 50, "s@x",
                        ["r@x"], connections=4)
        one.start()
        one.wait()
        kept = {load.identifier_of(message.content) for message in self.sink.messages}
        self.assertEqual(len(set(one.accepted)), 50)
        self.assertEqual(len(one.troubles), 5)
        self.assertEqual(kept, set(one.accepted))

    def test_load_reports_what_could_not_be_sent(self):
        self.rule("mail", "reply", "550 5.7.1 Never")
        one = load.Load("load", lambda: socket.create_connection(self.address, 5), 2, "s@x",
                        ["r@x"], limit=0.5)
        one.start()
        with self.assertRaisesRegex(RuntimeError, "0 of 2 .* 550 5.7.1 Never"):
            one.wait()
