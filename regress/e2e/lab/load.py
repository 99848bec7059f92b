"""A load source: sends many messages over several connections, and knows which were answered 250.

Every message carries an identifier of its own in its Message-ID. An answer that did not come leaves
the message's fate open: it is sent again under a new identifier, so that each identifier was either
accepted (it must arrive, once at least) or not (it may arrive).
"""
import re
import threading
import time

from . import smtp_client

IDENTIFIER = re.compile(rb"^Message-ID: <([^@>\s]+)@load\.example>", re.MULTILINE | re.IGNORECASE)
PAUSE_AFTER_FAILURE = 0.1  # seconds


def identifier_of(content):
    match = IDENTIFIER.search(content)
    return match[1].decode() if match else None


class Load:
    def __init__(self, name, connect, count, sender, recipients, connections=1, size=500,
                 rate=None, limit=60):
        """`connect` returns a new socket to the server; `size` in octets; `rate` per second;
        `limit` seconds for all."""
        self.name, self.connect, self.count = name, connect, count
        self.sender, self.recipients, self.size, self.rate = sender, recipients, size, rate
        self.deadline = time.monotonic() + limit
        self.lock = threading.Lock()
        self.tickets = 0       # messages begun, of `count`
        self.attempts = 0
        self.accepted = []     # identifiers answered 250
        self.troubles = []     # what went wrong, for the record
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.work, daemon=True)
                        for _ in range(min(connections, count))]

    def start(self):
        for thread in self.threads:
            thread.start()

    def wait(self):
        """Returns when all have been accepted, or raises RuntimeError when time is over."""
        for thread in self.threads:
            thread.join(max(0, self.deadline + 15 - time.monotonic()))
        if len(self.accepted) != self.count:
            last = "; last trouble: " + self.troubles[-1] if self.troubles else ""
            raise RuntimeError(f"{len(self.accepted)} of {self.count} messages accepted{last}")

    def take_ticket(self):
        with self.lock:
            if self.tickets == self.count:
                return False
            self.tickets += 1
            number = self.tickets
        if self.rate:
            time.sleep(max(0, self.began + number / self.rate - time.monotonic()))
        return True

    def work(self):
        client = None
        while self.take_ticket():
            while time.monotonic() < self.deadline:
                with self.lock:
                    self.attempts += 1
                    identifier = f"{self.name}-{self.attempts}"
                try:
                    if client is None:
                        client = smtp_client.Client(self.connect())
                        client.greet("load.example")
                    client.send_message(self.sender, self.recipients, self.content(identifier))
                    with self.lock:
                        self.accepted.append(identifier)
                    break
                except (OSError, smtp_client.Refused) as error:
                    self.troubles.append(f"{identifier}: {error}")
                    if client is not None:
                        client.close()
                        client = None
                    time.sleep(PAUSE_AFTER_FAILURE)
        if client is not None:
            client.quit()

    def content(self, identifier):
        head = (f"From: {self.sender}\r\nTo: {', '.join(self.recipients)}\r\n"
                f"Subject: load {identifier}\r\nMessage-ID: <{identifier}@load.example>\r\n\r\n")
        line = "0123456789abcdef" * 4 + "\r\n"
        body = line * max(1, (self.size - len(head)) // len(line))
        return (head + body).encode()
