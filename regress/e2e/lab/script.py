"""The language of the scripts: what a line means, without doing it.

A script is a list of steps. Dialogue lines are `NAME> TEXT`, `NAME< PATTERN`; everything else is a
verb (lab/verbs.py). Lines that begin with `| ` belong to the step before them: they are patterns
for the lines of what that step looks at. See ../README.
"""
import dataclasses
import re

DIALOGUE = re.compile(r"^([A-Za-z]\w*)(>=|>|<&|<!|<)(?: (.*))?$")
SETTINGS = re.compile(r"^(limit|needs) (.+)$")
NEEDS = ("namespaces", "root", "peers", "dovecot", "exim4", "haproxy", "microsocks", "nsd",
         "opensmtpd", "postgres", "redis-server", "slapd")
DEFAULT_LIMIT = 60  # seconds for one test


class ScriptError(Exception):
    """The script itself is wrong. The message says where."""


@dataclasses.dataclass
class Step:
    number: int              # of its line
    text: str
    patterns: list           # of the `| ` lines
    connection: str = ""     # for dialogue lines
    operator: str = ""       # > >= < <& <!
    argument: str = ""


@dataclasses.dataclass
class Script:
    steps: list
    limit: float = DEFAULT_LIMIT
    needs: tuple = ()


def parse(text, variables, name="script"):
    """Reads a script and puts in the @VARIABLES@."""
    script = Script([])
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        line = substitute(line, variables, where)
        if line.startswith("|"):
            if not script.steps or script.steps[-1].connection:
                raise ScriptError(f"{where}: a pattern without a step that takes it")
            script.steps[-1].patterns.append(line[1:].removeprefix(" "))
        elif setting := SETTINGS.match(line):
            set_up(script, setting[1], setting[2], where)
        elif dialogue := DIALOGUE.match(line):
            script.steps.append(Step(number, line, [], dialogue[1], dialogue[2],
                                     dialogue[3] or ""))
        else:
            script.steps.append(Step(number, line.strip(), []))
    return script


def set_up(script, setting, value, where):
    if setting == "limit":
        script.limit = seconds(value, where)
    else:
        for need in value.split():
            if need not in NEEDS:
                raise ScriptError(f"{where}: needs {need}: expected one of {' '.join(NEEDS)}")
            script.needs += (need,)


def seconds(text, where="duration"):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", text)
    if not match:
        raise ScriptError(f"{where}: {text}: expected a number and ms, s or m")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60}[match[2]]


def substitute(text, variables, where):
    def value(match):
        if match[1] not in variables:
            raise ScriptError(f"{where}: there is no @{match[1]}@")
        return str(variables[match[1]])
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", value, text)


def unescape(text):
    r"""The octets of "…" with \r \n \t \\ \" \xHH, as `NAME>= "…"` sends them."""
    if len(text) < 2 or not (text[0] == text[-1] == '"'):
        raise ScriptError(f'{text}: expected "…"')
    simple = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\", b'"': b'"'}
    return re.sub(rb"\\(?:x([0-9a-fA-F]{2})|([rnt\\\"]))",
                  lambda m: bytes([int(m[1], 16)]) if m[1] else simple[m[2]],
                  text[1:-1].encode())


class Pattern:
    """A glob of `*` over a text. `{NAME}` stands for a word: the first time it is kept in `words`,
    from then on it must be the same one."""

    def __init__(self, text, words):
        self.text, self.words, self.new = text, words, []
        expression = ""
        for part in re.split(r"(\*|\{[A-Za-z]\w*\})", text):
            if part == "*":
                expression += ".*"
            elif re.fullmatch(r"\{\w+\}", part):
                expression += self.word(part[1:-1])
            else:
                expression += re.escape(part)
        self.expression = re.compile(expression, re.DOTALL)

    def word(self, name):
        if name in self.words:
            return re.escape(self.words[name])
        if name in self.new:
            return f"(?P={name})"
        self.new.append(name)
        return rf"(?P<{name}>[^\s|,;<>()\[\]]+)"

    def matches(self, text):
        match = self.expression.fullmatch(text)
        if match:
            self.words.update({name: match[name] for name in self.new})
        return match is not None


def match_lines(patterns, lines, words):
    """Each pattern must match a line after the one that the pattern before it matched; `! PATTERN`
    must match no line at all. Returns None, or the first pattern that does not hold. What words
    stand for is kept if all hold."""
    at, kept = 0, dict(words)
    for text in patterns:
        if text.startswith("! "):
            if any(Pattern(text[2:], dict(kept)).matches(line) for line in lines):
                return text
            continue
        while at < len(lines) and not Pattern(text, kept).matches(lines[at]):
            at += 1
        if at == len(lines):
            return text
        at += 1
    words.update(kept)
    return None


def put_in(text, words):
    """The same as expand(), of text that may have braces of its own."""
    return re.sub(r"\{([A-Za-z]\w*)\}", lambda match: words.get(match[1], match[0]), text)


def expand(text, words):
    """Puts the words kept by earlier patterns into a line."""
    def value(match):
        if match[1] not in words:
            raise ScriptError(f"{{{match[1]}}} has no value yet")
        return words[match[1]]
    return re.sub(r"\{([A-Za-z]\w*)\}", value, text)
