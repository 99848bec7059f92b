"""A next hop: an SMTP server that keeps what it gets, watches for faults, and misbehaves on demand.

It answers as an ordinary server would, unless a rule for the stage says otherwise. The stages are
those of a transaction: connect ehlo helo mail rcpt data content (after the final dot, or the last
chunk of BDAT) chunk (after each one before) rset quit;
with a certificate starttls, and handshake, where only misbehaviour is possible.
What the other side does wrong (RFC 5321, RFC 2920, RFC 3030) is kept in `faults`; the test fails if
there are any, so every test checks what the relay sends.
"""
import dataclasses
import time
import re
import socket
import ssl
import struct
import threading

STAGES = ("connect", "ehlo", "helo", "starttls", "handshake", "mail", "rcpt", "data", "chunk", "content", "rset", "quit",
          "noop")
ACTIONS = ("reply", "close", "reset", "stall", "garbage", "flood")
OFFERED = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")
# What has to be offered for a parameter, and what its value can look like.
PRINTABLE = r"[!-<>-~]+"
MAIL_PARAMETERS = {
    "SIZE": ("SIZE", r"\d{1,20}"), "SMTPUTF8": ("SMTPUTF8", None),
    "RET": ("DSN", "FULL|HDRS"), "ENVID": ("DSN", PRINTABLE),
    "MT-PRIORITY": ("MT-PRIORITY", "-?[1-9]|0"), "REQUIRETLS": ("REQUIRETLS", None),
    "BY": ("DELIVERBY", r"[1-9]\d{0,8};RT?|-?\d{1,9};NT?"),
}
RCPT_PARAMETERS = {
    "NOTIFY": ("DSN", "NEVER|(SUCCESS|FAILURE|DELAY)(,(SUCCESS|FAILURE|DELAY))*"),
    "ORCPT": ("DSN", r"[\w-]+;[!-<>-~\u0080-\U0010ffff]+"),
}
MAX_LINE, MAX_TEXT_LINE, MAX_CONTENT = 4096, 1000, 64 * 1024 * 1024
IDLE_LIMIT = 120  # seconds without a command until the sink gives up on a connection


@dataclasses.dataclass
class Rule:
    stage: str
    action: str
    argument: str = ""
    remaining: int = -1  # how often it still applies; -1: always
    pattern: str = ""    # only for lines that contain this


@dataclasses.dataclass
class Message:
    reverse_path: str  # as in MAIL FROM, with its parameters
    recipients: list   # as in RCPT TO
    content: bytes     # after dot-unstuffing, or of all chunks
    over: str = ""     # "over TLSv1.3 for mx1.dest.example"; empty: in plain
    at: float = dataclasses.field(default_factory=time.monotonic)  # when it was kept

    def lines(self):
        """What scripts match against: how it came if it was encrypted, envelope, then content."""
        envelope = [self.over] if self.over else []
        envelope.append(f"MAIL FROM:{self.reverse_path}")
        envelope += [f"RCPT TO:{recipient}" for recipient in self.recipients]
        return envelope + self.content.decode("utf-8", "replace").split("\r\n")


class Closed(Exception):
    """The connection is over, by the other side's will or by ours."""


class Sink:
    def __init__(self, name, host, address, port, log_path):
        self.name, self.host, self.address, self.port = name, host, address, port
        self.messages, self.faults, self.rules = [], [], []
        self.connections = 0
        self.offered = list(OFFERED)
        self.lmtp = False
        self.tls = None        # an ssl.SSLContext: STARTTLS is there for those whom it is offered to
        self.implicit = False  # or TLS from the first byte
        self.lock = threading.Lock()
        self.log = open(log_path, "a", buffering=1, errors="replace")
        self.listener = None
        self.open_sockets, self.threads = set(), []

    def use_certificate(self, certificate, key, implicit):
        """Files in PEM form, the server's own certificate first."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def heard(connection, name, _):
            connection.heard_name = name
        context.sni_callback = heard
        self.tls, self.implicit = context, implicit

    def start(self):
        self.listener = self.host.listen(self.address, self.port)
        self.accepting = threading.Thread(target=self.accept, args=[self.listener], daemon=True)
        self.accepting.start()

    def stop(self):
        """Nobody listens any more, and what was connected is reset. The messages stay."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); closing alone would not
            listener.close()
            self.accepting.join(5)
        self.hang_up()

    def hang_up(self):
        """Ends all connections that there are, in whatever state."""
        with self.lock:
            for connection in self.open_sockets:
                abort(connection)
            self.open_sockets.clear()
            threads, self.threads = self.threads, []
        for thread in threads:
            thread.join(5)

    def accept(self, listener):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with self.lock:
                self.threads = [thread for thread in self.threads if thread.is_alive()]
                self.connections += 1
                number = self.connections
                self.open_sockets.add(connection)
                thread = threading.Thread(target=self.serve, args=[connection, number, peer[0]],
                                          daemon=True)
                self.threads.append(thread)
            thread.start()

    def serve(self, connection, number, peer):
        connection.settimeout(IDLE_LIMIT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(self, connection, number)
        session.note(f"connected from {peer}")
        try:
            session.run()
        except Closed as end:
            session.note(f"-- {end}")
        except OSError as error:
            session.note(f"-- {error}")
        finally:
            with self.lock:
                self.open_sockets.discard(session.connection)
            session.connection.close()

    def rule_for(self, stage, line):
        with self.lock:
            for rule in self.rules:
                if rule.stage == stage and rule.remaining != 0 and rule.pattern in line:
                    rule.remaining -= rule.remaining > 0
                    return rule
        return None

    def fault(self, session, what):
        session.note(f"-- FAULT: {what}")
        with self.lock:
            self.faults.append(f"{self.name}, connection {session.number}: {what}")


def abort(connection):
    """Ends a connection that another thread is using."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads; it closes
    except OSError:
        pass


class Session:
    def __init__(self, sink, connection, number):
        self.sink, self.connection, self.number = sink, connection, number
        self.buffer = b""
        self.greeted = False
        self.over = ""
        self.reset()

    def note(self, text):
        self.sink.log.write(f"{self.number} {text}\n")

    # The wire

    def read_more(self):
        data = self.connection.recv(65536)
        if not data:
            raise Closed("closed by the other side")
        self.buffer += data

    def read_line(self):
        """One line without CRLF. A bare LF or CR in it is the other side's fault."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > MAX_CONTENT:
                raise Closed("endless line")
            self.read_more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            self.sink.fault(self, f"bare LF after {line[-60:]!r}")
        line = line.removesuffix(b"\r")
        if b"\r" in line:
            self.sink.fault(self, f"bare CR in {line[:60]!r}")
        return line

    def send(self, text):
        for line in text.split("\r\n"):
            self.note("S: " + line)
        self.connection.sendall(text.encode("utf-8", "surrogateescape") + b"\r\n")

    def respond(self, stage, reply, line=""):
        """Sends the reply, or does what a rule says. True if that was the ordinary reply."""
        rule = self.sink.rule_for(stage, line)
        if rule is None:
            if reply:
                self.send(reply)
            return True
        if rule.action == "reply":
            text = rule.argument.replace("\\r\\n", "\r\n")
            self.send(text)
            if text[:3] in ("421", "221"):
                raise Closed(f"closed after {text[:3]}")
            return text[:1] == reply[:1]
        self.note(f"-- {rule.action}")
        if rule.action == "garbage":
            self.connection.sendall(b"\x00\xff}}} what? \r\n\r\n2-\r\n" + b"%n" * 300 + b"\r\n")
            return False
        if rule.action == "flood":
            self.flood(reply[:3])
        elif rule.action == "stall":
            while True:  # until the other side loses patience
                self.read_more()
                self.buffer = b""
        elif rule.action == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        raise Closed(rule.action)

    def flood(self, code):
        """A reply of continuation lines without end."""
        line = f"{code}-{'x' * 500}\r\n".encode() * 100
        while True:
            self.connection.sendall(line)

    # The dialogue

    def run(self):
        if self.sink.implicit:
            self.encrypt()
        self.respond("connect", f"220 {self.sink.name} ESMTP the lab's sink")
        while True:
            line = self.read_line()
            text = line.decode("utf-8", "surrogateescape")
            self.note("C: " + text.encode("utf-8", "backslashreplace").decode())
            if len(line) > MAX_LINE:
                self.sink.fault(self, f"command line of {len(line)} octets")
            verb = text.split(" ", 1)[0].upper()
            # What follows BDAT is the chunk, and its handler knows where that ends.
            if self.buffer and verb != "BDAT" and (verb not in ("MAIL", "RCPT", "RSET") or
                                                   not self.offers("PIPELINING")):
                self.sink.fault(self, f"something was sent before the reply to {verb}")
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler is None:
                self.sink.fault(self, f"unknown command {verb!r}")
                self.send("500 5.5.2 Unknown command")
            else:
                handler(text)

    def on_ehlo(self, line):
        lines = [self.sink.name] + [text for text in self.sink.offered
                                    if text != "STARTTLS" or not self.over]
        reply = "\r\n".join(f"250{' ' if text is lines[-1] else '-'}{text}" for text in lines)
        self.greeting(line, "ehlo", reply)

    on_lhlo = on_ehlo

    def on_starttls(self, line):
        if line != "STARTTLS" or not self.offers("STARTTLS") or self.over:
            self.sink.fault(self, "STARTTLS was not offered")
            return self.send("502 5.5.1 Not here")
        if self.respond("starttls", "220 2.0.0 Go ahead", line):
            self.encrypt()

    def encrypt(self):
        """RFC 3207 4.2: afterwards the dialogue begins anew."""
        self.respond("handshake", "")
        plain = self.connection
        encrypted = self.sink.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        encrypted.heard_name = None
        with self.sink.lock:
            self.sink.open_sockets.discard(plain)
            self.sink.open_sockets.add(encrypted)
        self.connection = encrypted
        encrypted.do_handshake()
        self.over = f"over {encrypted.version()} for {encrypted.heard_name}"
        self.note(f"-- {self.over}{', resumed' if encrypted.session_reused else ''}")
        self.greeted = False
        self.reset()

    def on_helo(self, line):
        self.greeting(line, "helo", f"250 {self.sink.name}")

    def greeting(self, line, stage, reply):
        if not re.fullmatch(r"\w+ \S+", line):
            self.sink.fault(self, f"bad greeting {line!r}")
        self.reset()
        self.greeted = self.respond(stage, reply, line) or self.greeted

    def on_mail(self, line):
        match = re.fullmatch(r"MAIL FROM:(<[^ ]*>)((?: [^ ]+)*)", line, re.IGNORECASE)
        if not match:
            self.sink.fault(self, f"bad syntax {line!r}")
            return self.send("501 5.5.4 Syntax")
        if not self.greeted or self.reverse_path is not None:
            self.sink.fault(self, "MAIL out of order")
        parameters = self.parameters(match[2], MAIL_PARAMETERS)
        self.utf8, self.body = "SMTPUTF8" in parameters, parameters.get("BODY", "7BIT")
        self.check_ascii(line)
        if self.respond("mail", "250 2.1.0 Ok", line):
            self.reverse_path, self.recipients = match[1] + match[2], []

    def on_rcpt(self, line):
        match = re.fullmatch(r"RCPT TO:(<[^ ]+>)((?: [^ ]+)*)", line, re.IGNORECASE)
        if not match:
            self.sink.fault(self, f"bad syntax {line!r}")
            return self.send("501 5.5.4 Syntax")
        if self.reverse_path is None:
            return self.send("503 5.5.1 MAIL first")  # right when pipelined after a refused MAIL
        self.parameters(match[2], RCPT_PARAMETERS)
        self.check_ascii(line)
        if self.respond("rcpt", "250 2.1.5 Ok", line):
            self.recipients.append(match[1] + match[2])

    def offers(self, keyword):
        return any(offer.split()[0] == keyword for offer in self.sink.offered)

    def parameters(self, text, known):
        """As a dictionary. What was not offered, or is not of its form, is a fault."""
        found = {}
        for parameter in text.split():
            keyword, equals, value = parameter.partition("=")
            needed, form = known.get(keyword, (keyword, ""))
            if keyword == "BODY" and known is MAIL_PARAMETERS:
                needed = "8BITMIME" if value == "7BIT" else value
                form = "7BIT|8BITMIME|BINARYMIME"
            if not self.offers(needed):
                self.sink.fault(self, f"parameter {parameter} was not offered")
            elif bool(equals) != (form is not None) or not re.fullmatch(form or "", value):
                self.sink.fault(self, f"parameter {parameter} is malformed")
            if keyword in found:
                self.sink.fault(self, f"parameter {keyword} twice")
            found[keyword] = value
        return found

    def check_ascii(self, line):
        if not line.isascii() and not self.utf8:
            self.sink.fault(self, f"UTF-8 without SMTPUTF8 in {line!r}")

    def on_data(self, line):
        if self.body == "BINARYMIME" or self.chunks:
            self.sink.fault(self, "DATA in the place of BDAT")
            return self.send("503 5.5.1 BDAT goes on")
        if self.reverse_path is None or not self.recipients:
            return self.send("503 5.5.1 No valid recipients")
        if self.respond("data", "354 Go on", line):
            self.keep(self.read_content())

    def on_bdat(self, line):
        match = re.fullmatch(r"BDAT (\d+)( LAST)?", line)
        if not match or int(match[1]) > MAX_CONTENT:
            self.sink.fault(self, f"bad syntax {line!r}")
            raise Closed("chunk without a known end")
        chunk = self.read_octets(int(match[1]))
        if self.buffer and not self.offers("PIPELINING"):
            self.sink.fault(self, "something was sent before the reply to BDAT")
        if not self.offers("CHUNKING"):
            self.sink.fault(self, "CHUNKING was not offered")
        if self.reverse_path is None or not self.recipients or self.refused:
            self.sink.fault(self, "BDAT out of order")
            return self.send("503 5.5.1 RSET first")
        self.chunks.append(chunk)
        if match[2]:
            self.keep(b"".join(self.chunks))
        else:
            self.refused = not self.respond("chunk", "250 2.0.0 Go on", line)

    def keep(self, content):
        if self.body == "7BIT" and not content.isascii():
            self.sink.fault(self, "8-bit content without BODY")
        envelope = Message(self.reverse_path, self.recipients, content, self.over)
        if self.sink.lmtp:  # each recipient has its reply (RFC 2033 4.2)
            envelope.recipients = [recipient for recipient in self.recipients
                                   if self.respond("content", "250 2.0.0 Kept", recipient)]
            kept = bool(envelope.recipients)
        else:
            kept = self.respond("content", "250 2.0.0 Kept")
        if kept:
            with self.sink.lock:
                self.sink.messages.append(envelope)
        self.reset()

    def read_octets(self, wanted):
        while len(self.buffer) < wanted:
            self.read_more()
        octets, self.buffer = self.buffer[:wanted], self.buffer[wanted:]
        return octets

    def read_content(self):
        """Up to CRLF.CRLF and nothing else (RFC 5321 4.1.1.4)."""
        buffer = b"\r\n" + self.buffer
        search_from = 0
        while (end := buffer.find(b"\r\n.\r\n", search_from)) < 0:
            if len(buffer) > MAX_CONTENT:
                raise Closed("content without end")
            search_from = max(0, len(buffer) - 4)
            self.buffer = b""
            self.read_more()
            buffer += self.buffer
        self.buffer = buffer[end + 5:]
        content = buffer[:end + 2]
        if re.search(rb"(?<!\r)\n|\r(?!\n)", content):
            self.sink.fault(self, "bare CR or LF in the content")
        content = content.replace(b"\r\n.", b"\r\n")[2:]
        longest = max(map(len, content.split(b"\r\n")))
        if longest + 2 > MAX_TEXT_LINE:
            self.note(f"-- longest line: {longest} octets")
        return content

    def on_rset(self, line):
        self.reset()
        self.respond("rset", "250 2.0.0 Ok", line)

    def on_noop(self, line):
        self.respond("noop", "250 2.0.0 Ok", line)

    def on_quit(self, line):
        if self.respond("quit", "221 2.0.0 Bye", line):
            raise Closed("QUIT")

    def reset(self):
        self.reverse_path, self.recipients = None, []
        self.utf8, self.body = False, "7BIT"
        self.chunks, self.refused = [], False
