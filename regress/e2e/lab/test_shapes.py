"""The comparison of messages notices whatever happened to one."""
import unittest

from lab import shapes

TRACE = b"Return-Path: <a@src.example>\nReceived: from x\n\tby y; today\n"


class ShapesTest(unittest.TestCase):
    def setUp(self):
        self.mailbox = {name: TRACE + shapes.in_maildir(content)
                        for name, content in shapes.messages().items()}

    def amiss(self):
        return shapes.amiss(self.mailbox.values(), shapes.in_maildir)

    def test_all_there(self):
        self.assertIsNone(self.amiss())

    def test_missing(self):
        del self.mailbox["dots"]
        self.assertEqual(self.amiss(), "missing: dots")

    def test_twice(self):
        self.mailbox["again"] = self.mailbox["dots"]
        self.assertIn("for the second time", self.amiss())

    def test_foreign(self):
        self.mailbox["foreign"] = b"Subject: a report\n\n"
        self.assertIn("another message", self.amiss())

    def test_changed(self):
        changes = {"octets": (b"\x80\xff", b"\x80?"), "dots": (b"\n...\n", b"\n..\n"),
                   "blanks": (b" \n", b"\n"), "folded": (b"\n\ttwo", b" two"),
                   "plain": (b"Goodbye.\n", b"Goodbye.\n\n"), "long-lines": (b"xxx", b"xx\n x"),
                   "empty": (b"8bit\n\n", b"8bit\nX-Added: 1\n\n"), "large": (b"\xff", b"\xfe")}
        for name, (before, after) in changes.items():
            with self.subTest(name):
                whole = self.mailbox[name]
                self.mailbox[name] = whole.replace(before, after, 1)
                self.assertNotEqual(self.mailbox[name], whole)
                self.assertIn(f"\"{name}\": from octet", self.amiss())
                self.mailbox[name] = whole

    def test_cut_short(self):
        self.mailbox["large"] = self.mailbox["large"][:-1]
        self.assertIn("\"large\": from octet", self.amiss())

    def test_lines_are_within_the_limit(self):
        for name, content in shapes.messages().items():
            for line in content.split(b"\r\n"):
                self.assertLessEqual(len(line), shapes.LINE, name)
                self.assertNotRegex(line, rb"[\r\n\0]", name)

    def test_in_mbox(self):
        self.assertEqual(shapes.in_mbox(b"a: b\r\n\r\nFrom c\r\n>From d\r\nFrom:\r\n"),
                         b"a: b\n\n>From c\n>From d\nFrom:\n")


if __name__ == "__main__":
    unittest.main()
