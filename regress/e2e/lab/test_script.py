"""The scripts' language."""
import unittest

from lab import script, verbs


class Parsing(unittest.TestCase):
    def test_lines_are_steps(self):
        parsed = script.parse("# comment\n\nlimit 2m\nneeds root peers\nclient> EHLO @ME@\n"
                              "client<& 250 *\nclient>\nsmtpctl show queue\n| a\n|\n", {"ME": "x"})
        self.assertEqual(parsed.limit, 120)
        self.assertEqual(parsed.needs, ("root", "peers"))
        self.assertEqual([(s.connection, s.operator, s.argument) for s in parsed.steps[:3]],
                         [("client", ">", "EHLO x"), ("client", "<&", "250 *"),
                          ("client", ">", "")])
        self.assertEqual(parsed.steps[3].patterns, ["a", ""])

    def test_mistakes_are_found_before_anything_runs(self):
        for text in ("| pattern first", "client> a\n| b", "needs luck", "limit soon", "a @B@"):
            with self.subTest(text), self.assertRaises(script.ScriptError):
                script.parse(text, {})
        with self.assertRaises(script.ScriptError):
            verbs.check(script.parse("expect miracles", {}))

    def test_escapes(self):
        self.assertEqual(script.unescape(r'"a\r\n\x00\\ü\""'), b'a\r\n\0\\\xc3\xbc"')
        with self.assertRaises(script.ScriptError):
            script.unescape("bare")


class Patterns(unittest.TestCase):
    def test_globs(self):
        for pattern, text, holds in (("250 *", "250 ok", True), ("250 *", "2500", False),
                                     ("a.c", "abc", False), ("*[x]*", "a[x]b", True),
                                     ("250*SIZE*", "250-a\n250 SIZE 1", True), ("", "", True)):
            with self.subTest(pattern=pattern, text=text):
                self.assertEqual(script.Pattern(pattern, {}).matches(text), holds)

    def test_words_are_kept(self):
        words = {}
        self.assertTrue(script.Pattern("250 {ID} kept", words).matches("250 4f kept"))
        self.assertEqual(words, {"ID": "4f"})
        self.assertTrue(script.Pattern("*{ID}*", words).matches("the 4f one"))
        self.assertFalse(script.Pattern("*{ID}*", words).matches("another"))
        self.assertEqual(script.expand("show message {ID}", words), "show message 4f")
        with self.assertRaises(script.ScriptError):
            script.expand("{OTHER}", words)
        self.assertEqual(script.put_in("{ID} {OTHER}", words), "4f {OTHER}")

    def test_lines_match_in_order(self):
        lines = ["a 1", "b 2", "c 3"]
        for patterns, failing in ((["a*", "c*"], None), (["c*", "a*"], "a*"), (["a*", "a*"], "a*"),
                                  (["! d*", "b*"], None), (["! b*"], "! b*"), ([], None)):
            with self.subTest(patterns):
                self.assertEqual(script.match_lines(patterns, lines, {}), failing)
