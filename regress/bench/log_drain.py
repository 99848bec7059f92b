"""A /dev/log of our own, read and thrown away: so servers that log by syslog(3) pay what that costs,
wherever we run, and never wait for it."""
import os
import signal
import socket
import subprocess
import time

from lab import isolation

NODES = ["null", "zero", "full", "random", "urandom", "tty"]
SCRIPT = """set -e
mount -t tmpfs -o mode=755 none "$1"
for node in $2; do [ -e /dev/$node ] || continue; : >"$1/$node"; mount --bind /dev/$node "$1/$node"; done
mkdir "$1/shm" "$1/pts"
mount --bind /dev/shm "$1/shm"
ln -s /proc/self/fd "$1/fd"
ln -s /proc/self/fd/0 "$1/stdin"
ln -s /proc/self/fd/1 "$1/stdout"
ln -s /proc/self/fd/2 "$1/stderr"
mount --rbind "$1" /dev
"""
PAUSE = 0.002   # seconds: what came meanwhile is read at once
ROOM = 8 << 20  # octets


def provide(directory):
    """Needs a mount namespace of our own. The drain ends with us."""
    os.makedirs(directory)
    subprocess.run(["sh", "-c", SCRIPT, "sh", directory, " ".join(NODES)], check=True)
    drain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    drain.setsockopt(socket.SOL_SOCKET, 33, ROOM)  # SO_RCVBUFFORCE
    drain.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        isolation.die_with_parent()
        read_forever(drain)
    drain.close()


def read_forever(drain):
    buffer = bytearray(8192)
    while True:
        drain.recv_into(buffer)
        try:
            while drain.recv_into(buffer, 0, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            time.sleep(PAUSE)
