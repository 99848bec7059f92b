"""Reports on TLS are read as they are, and what is none is not let pass."""
import gzip
import json
import unittest

from lab import reports

REPORT = {
    "organization-name": "gw.example", "contact-info": "postmaster@gw.example", "report-id": "1",
    "date-range": {"start-datetime": "2026-11-23T00:00:00Z", "end-datetime": "2026-11-23T23:59:59Z"},
    "policies": [{"policy": {"policy-type": "sts", "policy-domain": "d.example"},
                  "summary": {"total-successful-session-count": 1,
                              "total-failure-session-count": 0}}]}


class ReportsTest(unittest.TestCase):
    def post(self, kind, octets):
        return reports.post_lines(("web.example", "/in", [("Content-Type", kind)], octets))

    def test_reads_what_is_posted(self):
        octets = json.dumps(REPORT).encode()
        plain = self.post("application/tlsrpt+json", octets)
        self.assertEqual(plain[:2], ["POST https://web.example/in",
                                     "Content-Type: application/tlsrpt+json"])
        self.assertIn(' "organization-name": "gw.example",', plain)
        packed = self.post("application/tlsrpt+gzip", gzip.compress(octets))
        self.assertEqual(packed[2:], plain[2:])

    def test_what_lacks_something_is_none(self):
        for name in REPORT:
            rest = {key: value for key, value in REPORT.items() if key != name}
            with self.assertRaises(reports.Malformed):
                self.post("application/tlsrpt+json", json.dumps(rest).encode())
        for octets in b"{", "{\"a\": \"\xe4\"}".encode():
            with self.assertRaises(reports.Malformed):
                self.post("application/tlsrpt+json", octets)
        with self.assertRaises(reports.Malformed):
            self.post("application/json", json.dumps(REPORT).encode())

    def test_other_mail_is_no_report(self):
        self.assertEqual(reports.mail_lines(b"Subject: x\r\n\r\nhello\r\n"), [])
        with self.assertRaises(reports.Malformed):
            reports.mail_lines(b"Content-Type: multipart/report; report-type=delivery-status;"
                               b" boundary=x\r\n\r\n--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--\r\n")


if __name__ == "__main__":
    unittest.main()
