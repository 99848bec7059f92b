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

    def dialogue(self, octets, offered):
        """All that is said to the client, and the faults."""
        self.sink.offered = offered.split("+")
        self.sink.faults.clear()
        client = self.client()
        client.greet("me")
        client.send(octets)
        client.connection.shutdown(socket.SHUT_WR)
        replies = []
        while (line := client.read_line()) is not None:
            replies.append(line[:3])
        return " ".join(replies), " ".join(self.sink.faults)

    def test_parameters_must_have_been_offered_and_have_their_form(self):
        for command, offered in (("MAIL FROM:<a@x> SIZE=5", "SIZE 100"),
                                 ("MAIL FROM:<a@x> BODY=8BITMIME", "8BITMIME"),
                                 ("MAIL FROM:<a@x> BODY=BINARYMIME", "BINARYMIME"),
                                 ("MAIL FROM:<a@x> RET=HDRS ENVID=a+2Bb", "DSN"),
                                 ("MAIL FROM:<a@x> MT-PRIORITY=-3", "MT-PRIORITY"),
                                 ("MAIL FROM:<a@x> BY=60;R", "DELIVERBY 10"),
                                 ("MAIL FROM:<a@x> BY=-60;NT", "DELIVERBY"),
                                 ("MAIL FROM:<ä@x> SMTPUTF8", "SMTPUTF8"),
                                 ("RCPT TO:<a@x> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2B@x", "DSN"),
                                 ("RCPT TO:<a@x> NOTIFY=NEVER", "DSN")):
            octets = command.encode() + b"\r\n"
            if command.startswith("RCPT"):
                octets = b"MAIL FROM:<a@x>\r\n" + octets
            with self.subTest(command):
                self.assertEqual(self.dialogue(octets, "PIPELINING+" + offered)[1], "")
                self.assertIn("not offered", self.dialogue(octets, "PIPELINING+HELP")[1])
        for command in ("MAIL FROM:<a@x> SIZE=x", "MAIL FROM:<a@x> RET=ALL",
                        "MAIL FROM:<a@x> BY=0;R", "MAIL FROM:<a@x> DSN", "RCPT TO:<a@x> NOTIFY=NEVER,DELAY",
                        "RCPT TO:<a@x> RET=FULL", "MAIL FROM:<a@x> SMTPUTF8=1",
                        "MAIL FROM:<a@x> MT-PRIORITY=10"):
            octets = (b"" if command.startswith("MAIL") else b"MAIL FROM:<a@x>\r\n")
            with self.subTest(command):
                faults = self.dialogue(octets + command.encode() + b"\r\n",
                                       "PIPELINING+SIZE+DSN+DELIVERBY+SMTPUTF8+MT-PRIORITY")[1]
                self.assertRegex(faults, "malformed|not offered")

    def test_eight_bit_content_needs_body(self):
        for body, fault in (("", True), (" BODY=8BITMIME", False)):
            with self.subTest(body):
                self.sink.faults.clear()
                client = self.client()
                client.greet("me")
                client.command(f"MAIL FROM:<a@x>{body}", "250")
                client.command("RCPT TO:<r@x>", "250")
                client.command("DATA", "354")
                client.send("ä\r\n.\r\n".encode())
                client.expect("content", "250")
                self.assertEqual("8-bit" in " ".join(self.sink.faults), fault)

    def test_utf8_needs_smtputf8(self):
        for octets, fault in (("MAIL FROM:<ä@x>", True), ("MAIL FROM:<ä@x> SMTPUTF8", False),
                              ("MAIL FROM:<a@x>\r\nRCPT TO:<ä@x>", True),
                              ("MAIL FROM:<a@x> SMTPUTF8\r\nRCPT TO:<ä@x>", False)):
            with self.subTest(octets):
                faults = self.dialogue(octets.encode() + b"\r\n", "PIPELINING+SMTPUTF8")[1]
                self.assertEqual("UTF-8 without" in faults, fault)

    def test_chunks_are_kept_octet_for_octet(self):
        mail = b"MAIL FROM:<a@x> BODY=BINARYMIME\r\nRCPT TO:<r@x>\r\n"
        offered = "PIPELINING+CHUNKING+BINARYMIME"
        replies, faults = self.dialogue(
            mail + b"BDAT 5\r\n.\r\n.\nBDAT 2\r\n\0\rBDAT 0 LAST\r\nQUIT\r\n", offered)
        self.assertEqual((replies, faults), ("250 250 250 250 250 221", ""))
        self.assertEqual(self.sink.messages[-1].content, b".\r\n.\n\0\r")

    def test_chunks_out_of_order(self):
        mail = b"MAIL FROM:<a@x>\r\nRCPT TO:<r@x>\r\n"
        for octets, offered, fault in (
                (b"BDAT 1 LAST\r\nx", "CHUNKING", "BDAT out of order"),
                (mail + b"BDAT 1 LAST\r\nxBDAT 1 LAST\r\nx", "CHUNKING", "BDAT out of order"),
                (mail + b"BDAT 1\r\nxDATA\r\n", "CHUNKING", "DATA in the place"),
                (mail + b"BDAT 1 LAST\r\nx", "HELP", "CHUNKING was not offered"),
                (mail + b"BDAT x\r\n", "CHUNKING", "bad syntax"),
                (b"MAIL FROM:<a@x> BODY=BINARYMIME\r\nRCPT TO:<r@x>\r\nDATA\r\n",
                 "CHUNKING+BINARYMIME", "DATA in the place")):
            with self.subTest(octets):
                self.assertIn(fault, self.dialogue(octets, "PIPELINING+" + offered)[1])
        self.rule("chunk", "reply", "452 4.3.1 Full", 1)
        replies, faults = self.dialogue(mail + b"BDAT 1\r\nxBDAT 1 LAST\r\nx",
                                        "PIPELINING+CHUNKING")
        self.assertEqual(replies, "250 250 452 503")
        self.assertIn("BDAT out of order", faults)

    def test_lmtp_has_a_reply_for_each_recipient_after_the_last_chunk(self):
        self.sink.lmtp = True
        self.rule("content", "reply", "452 4.2.2 Full", 1, "s@x")
        replies, faults = self.dialogue(
            b"MAIL FROM:<a@x>\r\nRCPT TO:<r@x>\r\nRCPT TO:<s@x>\r\nBDAT 1\r\nxBDAT 1 LAST\r\ny",
            "PIPELINING+CHUNKING")
        self.assertEqual((replies, faults), ("250 250 250 250 250 452", ""))
        self.assertEqual(self.sink.messages[-1].recipients, ["<r@x>"])

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
