"""Many next hops in one: a sink that listens on all addresses of this loopback, takes every message,
and knows which address got what.
"""
import asyncio
import collections
import threading

BACKLOG = 4096
START_LIMIT = 10  # seconds
OFFERED = b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
END = b"\r\n.\r\n"


class Session(asyncio.Protocol):
    def __init__(self, sink):
        self.sink, self.buffer, self.in_content, self.recipient = sink, b"", False, None

    def connection_made(self, transport):
        self.transport = transport
        self.address = transport.get_extra_info("sockname")[0]
        self.sink.opened()
        asyncio.get_running_loop().call_later(self.sink.pause, self.greet)

    def greet(self):
        if not self.transport.is_closing():
            self.transport.write(b"220 sink.example ESMTP\r\n")

    def connection_lost(self, error):
        self.sink.open -= 1

    def data_received(self, data):
        self.buffer += data
        while self.take_content() if self.in_content else self.take_line():
            pass

    def take_content(self):
        end = self.buffer.find(END)
        if end < 0:
            return False
        self.buffer, self.in_content = self.buffer[end + len(END):], False
        self.sink.got(self.address, self.recipient)
        self.transport.write(b"250 2.0.0 taken\r\n")
        return True

    def take_line(self):
        line, found, rest = self.buffer.partition(b"\r\n")
        if not found:
            return False
        self.buffer = rest
        verb = line.split()[0].upper() if line.split() else b""
        if verb == b"RCPT":
            self.recipient = line.partition(b"<")[2].partition(b">")[0].decode()
        self.in_content = verb == b"DATA"
        self.transport.write({b"EHLO": OFFERED, b"DATA": b"354 go on\r\n",
                              b"QUIT": b"221 2.0.0 bye\r\n"}.get(verb, b"250 2.0.0 ok\r\n"))
        if verb == b"QUIT":
            self.transport.close()
        return True


class Sink:
    """It greets after `pause` seconds, as hosts far away do."""

    def __init__(self, port, pause):
        self.port, self.pause = port, pause
        self.open = 0
        self.forget()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        if not ready.wait(START_LIMIT):
            raise OSError("the sink does not listen")

    def forget(self):
        """All counters begin anew."""
        self.connections, self.most_open, self.messages = 0, self.open, 0
        self.at = collections.Counter()  # messages by (address, recipient)

    async def serve(self, ready):
        server = await asyncio.get_running_loop().create_server(
            lambda: Session(self), "0.0.0.0", self.port, backlog=BACKLOG)
        ready.set()
        await server.serve_forever()

    def opened(self):
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)

    def got(self, address, recipient):
        self.at[address, recipient] += 1
        self.messages += 1
