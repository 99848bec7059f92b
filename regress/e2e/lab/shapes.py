"""Messages of several shapes, whose octets would show any change on their way, and the comparison
with what somebody's mailbox has of them.

The first field of each is X-Shape, which names it: what stands before is the trace of the servers
that it passed (RFC 5321 4.4), and everything from there on is compared, octet by octet.
"""
import random
import re

MARK = re.compile(rb"^X-Shape: (\S+)\n", re.MULTILINE)
HEAD = (b"From: Alice <alice@src.example>\r\nTo: Bob <bob@dest.example>\r\n"
        b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <%s@shapes.example>\r\n"
        b"Subject: the shape \"%s\"\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
LINE = 998       # octets of a line without its CRLF (RFC 5321 4.5.3.1.6)
LARGE = 1 << 20  # octets
# Any octet but NUL, CR and LF (RFC 6152 allows for all others).
OCTETS = bytes(set(range(1, 256)) - {10, 13})


def lines(*parts):
    return b"".join(part + b"\r\n" for part in parts)


def large():
    """Lines of every length, of any octets, the same ones each time."""
    dice = random.Random(5321)
    body = b""
    while len(body) < LARGE:
        body += lines(bytes(dice.choices(OCTETS, k=dice.randrange(LINE + 1))))
    return body


BODIES = {
    "plain": lines(b"Hello.", b"", b"Goodbye."),
    "utf-8": lines("Gr\u00fc\u00dfe, \u4e2d\u6587, \U0001f4ee".encode(), "\u00e4".encode() * 499),
    "octets": lines(OCTETS, OCTETS[::-1], b"\x80\xff\xfe", b"\xc3", b"\x7f\x1b[0m\x08"),
    "long-lines": lines(*(b"x" * length for length in range(LINE - 3, LINE + 1)),
                        b" " * LINE, b"." * LINE, b"\xfc" * LINE, b"y" * LINE),
    "dots": lines(b".", b"..", b".", b"...", b". ", b".\t", b".x", b" .", b"", b".", b"", b"."),
    "empty": b"",
    "empty-lines": lines(b"", b"", b"", b"between", b"", b"", b""),
    "blanks": lines(b"at the end \t ", b" ", b"\t", b" before", b"\tbefore", b" "),
    "looks-like": lines(b"From here on", b">From somebody", b">>From", b"From:", b"X-Other: shape",
                        b"QUIT", b"DATA", b"BDAT 5 LAST", b"--", b"-- ", b"=20", b"&amp;"),
    "large": large(),
}
FIELDS = {
    "folded": lines(b"X-Folded: one", b"\ttwo", b"  three", b"X-Empty:", b"X-Blanks:   \t",
                    b"x-LOWER: case", b"References: " + b" ".join(b"<%d@src.example>" % number
                                                                  for number in range(50))),
}


def messages():
    """{name: content} of all shapes, with CRLF and without dot-stuffing."""
    found = {}
    for name in dict.fromkeys([*BODIES, *FIELDS]):
        word = name.encode()
        found[name] = (b"X-Shape: %s\r\n" % word + HEAD % (word, word) +
                       FIELDS.get(name, b"") + b"\r\n" + BODIES.get(name, lines(b"Its header.")))
    return found


def in_maildir(content):
    """A message as it lies in a Maildir."""
    return content.replace(b"\r\n", b"\n")


def in_mbox(content):
    """The same in an mbox: a line that looks like the beginning of a message is quoted."""
    return re.sub(rb"^From ", b">From ", in_maildir(content), flags=re.MULTILINE)


def difference(wanted, got):
    """Where the two part, for people to read."""
    place = next((place for place, (one, other) in enumerate(zip(wanted, got)) if one != other),
                 min(len(wanted), len(got)))
    return (f"from octet {place} on it is {got[max(0, place - 20):place + 40]!r}, not "
            f"{wanted[max(0, place - 20):place + 40]!r} ({len(got)} octets, not {len(wanted)})")


def amiss(contents, form):
    """None if `contents`, messages of a mailbox, are all the shapes, each once and nothing else;
    `form` is in_maildir or in_mbox. Otherwise what is wrong."""
    wanted = {name: form(content) for name, content in messages().items()}
    for content in contents:
        mark = MARK.search(content)
        if mark is None or (name := mark[1].decode()) not in wanted:
            return f"there is another message, or one for the second time: {content[:500]!r}"
        if content[mark.start():] != wanted[name]:
            return f"\"{name}\": {difference(wanted[name], content[mark.start():])}"
        del wanted[name]
    return f"missing: {', '.join(wanted)}" if wanted else None
