"""An SMTP client that does what it is told: for the scripts' dialogues and for the load source."""
import re
import socket

MAX_REPLY, MAX_REPLY_LINES = 65536, 1000  # octets of a line, lines
REPLY_LIMIT = 30  # seconds


class Refused(Exception):
    """The server's reply was not the one that was needed. The connection is in an unknown state."""


class Client:
    def __init__(self, connection):
        self.connection = connection
        self.connection.settimeout(REPLY_LIMIT)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, octets):
        self.connection.sendall(octets)

    def read_line(self, limit=REPLY_LIMIT):
        """One line without its CRLF; None when the server has closed."""
        self.connection.settimeout(limit)
        while b"\r\n" not in self.buffer:
            try:
                data = self.connection.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                if self.buffer:
                    raise ConnectionError(f"closed in the middle of {self.buffer[:80]!r}")
                return None
            self.buffer += data
            if len(self.buffer) > MAX_REPLY and b"\r\n" not in self.buffer:
                raise ConnectionError("a reply line without end")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        if b"\n" in line or b"\r" in line:
            raise ConnectionError(f"bare CR or LF in a reply: {line!r}")
        return line.decode("utf-8", "backslashreplace")

    def read_reply(self, limit=REPLY_LIMIT):
        """All lines of one reply; None when the server has closed. The codes must agree."""
        lines = []
        while True:
            line = self.read_line(limit)
            if line is None:
                if lines:
                    raise ConnectionError(f"closed in the middle of a reply: {lines}")
                return None
            if not re.fullmatch(r"[2-5]\d\d([ -].*)?", line):
                raise ConnectionError(f"no SMTP reply: {line!r}")
            lines.append(line)
            if len(lines) > MAX_REPLY_LINES:
                raise ConnectionError("a reply without end")
            if lines[0][:3] != line[:3]:
                raise ConnectionError(f"a reply with two codes: {lines}")
            if line[3:4] != "-":
                return lines

    def command(self, line, wanted):
        self.send(line.encode() + b"\r\n")
        self.expect(line, wanted)

    def expect(self, line, wanted):
        reply = self.read_reply()
        if reply is None:
            raise ConnectionError(f"closed at {line}")
        if not reply[-1].startswith(wanted):
            raise Refused(f"{line}: {reply[-1]}")

    def greet(self, name):
        self.expect("connect", "220")
        self.command(f"EHLO {name}", "250")

    def send_message(self, sender, recipients, content, parameters=""):
        self.command(f"MAIL FROM:<{sender}>{parameters}", "250")
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", "250")
        self.command("DATA", "354")
        self.send(re.sub(rb"^\.", b"..", content, flags=re.MULTILINE) + b".\r\n")
        self.expect("content", "250")

    def quit(self):
        try:
            self.command("QUIT", "221")
        except (OSError, Refused):
            pass
        self.close()

    def close(self):
        self.connection.close()
