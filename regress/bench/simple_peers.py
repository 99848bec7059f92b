#!/usr/bin/python3
"""simple_peers.py source|sink OPTIONS: a source and a sink of mail, for machines that cannot get
Postfix's.

They take those of the options of smtp-source(1) and smtp-sink(1) that the benchmark uses, and cost
several times as much CPU, so that the rates that they show may be their own.
    source -s CLIENTS -m MESSAGES -l OCTETS -M NAME -f FROM -t TO [-d] ADDRESS:PORT
    sink -c ADDRESS:PORT BACKLOG         writes "mesg=N" to standard output
"""
import argparse
import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import time

SINK_PROCESSES = 2
REPLIES = {b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
           b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
MAX_LINE = 4096


class SinkSession(asyncio.Protocol):
    def __init__(self, counter):
        self.counter, self.buffer, self.in_content = counter, b"", False

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"220 sink.example\r\n")

    def data_received(self, data):
        self.buffer += data
        while self.content() if self.in_content else self.line():
            pass

    def content(self):
        """Drops content up to its end. What is kept is as short as the end."""
        at = self.buffer.find(b"\r\n.\r\n")
        if at < 0:
            self.buffer = self.buffer[-4:]
            return False
        self.buffer, self.in_content = self.buffer[at + 5:], False
        with self.counter.get_lock():
            self.counter.value += 1
        self.transport.write(b"250 taken\r\n")
        return True

    def line(self):
        line, end, rest = self.buffer.partition(b"\r\n")
        if not end:
            if len(line) > MAX_LINE:
                self.transport.close()
            return False
        self.buffer, verb = rest, line[:4].upper()
        self.transport.write(REPLIES.get(verb, b"250 ok\r\n"))
        if verb == b"DATA":
            self.in_content = True
            self.buffer = b"\r\n" + self.buffer  # an empty content ends at once
        if verb == b"QUIT":
            self.transport.close()
        return True


def serve(listener, counter):
    async def forever():
        await asyncio.get_running_loop().create_server(lambda: SinkSession(counter),
                                                       sock=listener)
        await asyncio.Event().wait()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(forever())


def sink(options):
    address, port = options.endpoint.rsplit(":", 1)
    counter = multiprocessing.Value("Q", 0)
    for _ in range(SINK_PROCESSES):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((address, int(port)))
        listener.listen(options.backlog)
        multiprocessing.Process(target=serve, args=(listener, counter), daemon=True).start()
        listener.close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # ends the others too
    shown = 0
    while True:
        time.sleep(0.003)
        if counter.value != shown:
            shown = counter.value
            os.write(1, b"mesg=%d\r" % shown)


class Source:
    def __init__(self, options):
        self.options, self.left = options, options.messages
        self.host, port = options.endpoint.rsplit(":", 1)
        self.port = int(port)
        line = b"x" * 78 + b"\r\n"
        self.content = (b"From: <%s>\r\nTo: <%s>\r\nSubject: test\r\n\r\n" %
                        (options.sender.encode(), options.to.encode()) +
                        line * (options.octets // len(line) + 1))[:options.octets] + b"\r\n.\r\n"

    async def expect(self, reader, code):
        while True:
            line = await reader.readline()
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise RuntimeError(f"{line.decode(errors='replace').strip()!r} instead of "
                               f"{code.decode()}")

    async def step(self, reader, writer, line, code):
        writer.write(line)
        await writer.drain()
        await self.expect(reader, code)

    async def client(self):
        reader = None
        while self.left > 0:
            self.left -= 1
            if reader is None:
                reader, writer = await asyncio.open_connection(self.host, self.port)
                await self.expect(reader, b"220")
                await self.step(reader, writer, b"EHLO %s\r\n" % self.options.name.encode(), b"250")
            await self.step(reader, writer, b"MAIL FROM:<%s>\r\n" % self.options.sender.encode(),
                            b"250")
            await self.step(reader, writer, b"RCPT TO:<%s>\r\n" % self.options.to.encode(), b"250")
            await self.step(reader, writer, b"DATA\r\n", b"354")
            await self.step(reader, writer, self.content, b"250")
            if not self.options.lasting or self.left <= 0:
                await self.step(reader, writer, b"QUIT\r\n", b"221")
                writer.close()
                reader = None
        if reader is not None:
            await self.step(reader, writer, b"QUIT\r\n", b"221")

    async def run(self):
        await asyncio.gather(*(self.client() for _ in range(self.options.clients)))


def main():
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("source")
    for letter, name, kind in (("-s", "clients", int), ("-m", "messages", int),
                               ("-l", "octets", int), ("-M", "name", str), ("-f", "sender", str),
                               ("-t", "to", str)):
        one.add_argument(letter, dest=name, type=kind, required=True)
    one.add_argument("-d", dest="lasting", action="store_true")
    one.add_argument("endpoint")
    other = kinds.add_parser("sink")
    other.add_argument("-c", action="store_true", required=True)
    other.add_argument("endpoint")
    other.add_argument("backlog", type=int)
    options = parser.parse_args()
    if options.kind == "sink":
        sink(options)
    try:
        asyncio.run(Source(options).run())
    except (OSError, RuntimeError) as error:
        sys.exit(f"source: {error}")


if __name__ == "__main__":
    main()
