#!/usr/bin/python3
"""probe.py PORT SINK_PORT: single messages, each followed from its connection to the 250 of the server
on PORT, and from that to the 250 of the next hop, which this is itself, on SINK_PORT.

Reads JSON objects, one a line: "count", how many messages at most; "seconds", after which no other is
begun; "pause", seconds between two; "one_by_one", whether each waits until the one before it has
arrived. Answers each when all have arrived: "accepted" and "passed_on", their times in milliseconds,
and "lost", how many have not come. All is timed in one process, by one clock.
"""
import asyncio
import json
import re
import sys
import time

LIMIT = 60         # seconds for each wait
MOST_AT_ONCE = 20  # messages on their way
FILLER = (b"x" * 78 + b"\r\n") * 48  # some 4 KiB with its header
REPLIES = {b"EHLO": b"250-probe.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
           b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Probes:
    def __init__(self, port, sink_port):
        self.port, self.sink_port = port, sink_port
        self.sent, self.arrived, self.times, self.slots = 0, {}, [], None

    async def receive(self, reader, writer):
        """A session in which the server passes messages on."""
        writer.write(b"220 probe.example\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper().strip()
                writer.write(REPLIES.get(verb, b"250 ok\r\n"))
                if verb == b"QUIT":
                    break
                if verb == b"DATA":
                    content = await reader.readuntil(b"\r\n.\r\n")
                    writer.write(b"250 taken\r\n")
                    number = int(re.search(rb"^X-Probe: (\d+)\r$", content, re.MULTILINE)[1])
                    if number in self.arrived and not self.arrived[number].done():
                        self.arrived[number].set_result(time.monotonic())
        except (OSError, asyncio.IncompleteReadError):
            pass  # it closes as it likes
        writer.close()

    async def send(self, number):
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = (b"From: <sender@src.example>\r\nTo: <rcpt@probe.example>\r\nX-Probe: %d\r\n\r\n" %
                   number + FILLER + b".\r\n")
        for line, code in ((None, b"220"), (b"EHLO client.example\r\n", b"250"),
                           (b"MAIL FROM:<sender@src.example>\r\n", b"250"),
                           (b"RCPT TO:<rcpt@probe.example>\r\n", b"250"), (b"DATA\r\n", b"354"),
                           (content, b"250")):
            if line:
                writer.write(line)
            await self.expect(reader, code)
        accepted = time.monotonic()
        writer.write(b"QUIT\r\n")
        writer.close()
        return began, accepted

    async def expect(self, reader, code):
        line = b"   -"
        while line[3:4] == b"-":
            line = await reader.readline()
        if not line.startswith(code):
            raise RuntimeError(f"{line.decode(errors='replace').strip()!r} instead of "
                               f"{code.decode()}")

    async def follow(self, number):
        """One message, to its end."""
        try:
            arrived = self.arrived[number] = asyncio.get_running_loop().create_future()
            began, accepted = await asyncio.wait_for(self.send(number), LIMIT)
            self.times.append((accepted - began, await asyncio.wait_for(arrived, LIMIT) - accepted))
        finally:
            del self.arrived[number]
            self.slots.release()

    async def run(self):
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self.receive, "127.0.0.1", self.sink_port,
                                            limit=1 << 20)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await self.follow_all(**json.loads(line))), flush=True)
        server.close()

    async def follow_all(self, count, seconds, pause, one_by_one):
        self.times = []
        self.slots = asyncio.Semaphore(1 if one_by_one else MOST_AT_ONCE)
        end, tasks = time.monotonic() + seconds, []
        while len(tasks) < count and time.monotonic() < end:
            await self.slots.acquire()
            self.sent += 1
            tasks.append(asyncio.create_task(self.follow(self.sent)))
            await asyncio.sleep(pause)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [error for error in found if error is not None]
        return {"accepted": [1000 * accepted for accepted, _ in self.times],
                "passed_on": [1000 * passed for _, passed in self.times],
                "lost": len(errors), "error": repr(errors[0]) if errors else None}


if __name__ == "__main__":
    asyncio.run(Probes(*map(int, sys.argv[1:])).run())
