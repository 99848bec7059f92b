"""What each step of a script does. ../README lists them for the writer of a script.

A verb is a regular expression over the whole step and a function that gets the laboratory, the
step and the groups. A function that returns normally has seen what the script promised.
"""
import os
import random
import re
import shlex
import time

from . import killer, load, reports, script, shapes, sink, smtp_client
from .lab import WAIT, Failure, find, maildir_messages, mbox_messages

VERBS = []
# Programs of others, unpacked by etc/build/peers and not installed.
PEERS = ("smtp-source", "smtp-sink", "dovecot", "exim4", "opensmtpd", "initdb", "pg_ctl", "psql",
         "redis-server", "redis-cli", "slapd", "slapadd")
DURATION = r"(\d+(?:\.\d+)?(?:ms|s|m))"


def verb(expression):
    def register(function):
        VERBS.append((re.compile(expression), function))
        return function
    return register


def find_verb(text):
    for expression, function in VERBS:
        match = expression.fullmatch(text)
        if match:
            return function, match
    return None, None


def perform(lab, step):
    """Does one step."""
    if step.connection:
        return dialogue(lab, step)
    function, match = find_verb(script.expand(step.text, lab.words))
    return function(lab, step, *match.groups())


def check(parsed):
    """Finds steps that no verb knows, before anything is done."""
    for step in parsed.steps:
        if not step.connection and find_verb(step.text) == (None, None):
            raise script.ScriptError(f"script:{step.number}: no such step: {step.text}")


# The dialogue

def dialogue(lab, step):
    client = lab.connection(step.connection)
    if step.operator == ">":
        line = script.put_in(step.argument, lab.words)
        lab.transcript.write(f"{step.connection}> {line}\n")
        client.send(line.encode() + b"\r\n")
    elif step.operator == ">=":
        octets = script.unescape(step.argument)
        lab.transcript.write(f"{step.connection}>= {octets!r}\n")
        client.send(octets)
    elif step.operator == "<":
        receive(lab, step, client)
    else:
        reply = lab.replies[step.connection]
        holds = script.Pattern(step.argument, lab.words).matches(reply)
        if holds != (step.operator == "<&"):
            raise Failure(f"the reply was: {reply}")


def receive(lab, step, client):
    lines = client.read_reply()
    reply = "(closed)" if lines is None else "\n".join(lines)
    lab.transcript.write("".join(f"{step.connection}< {line}\n" for line in reply.split("\n")))
    lab.replies[step.connection] = reply
    if not script.Pattern(step.argument, lab.words).matches(reply):
        raise Failure(f"the reply was: {reply}")


@verb(r"connect (\w+)(?: from (\w+))?(?: to (\S+))?(?: port (\d+))?")
def connect(lab, step, name, host, address, port):
    source = lab.host(host or "client")
    address = address or lab.hosts["gateway"].address
    lab.connections[name] = smtp_client.Client(source.connect(address, int(port or 2525)))


@verb(r"close (\w+)")
def close(lab, step, name):
    lab.connection(name).close()


@verb(r"send bad commands on (\w+) until \"(.*)\" at most (\d+)")
def send_bad_commands(lab, step, name, pattern, most):
    """Every reply before that one must be a 500: a bad command alone ends no session."""
    client = lab.connection(name)
    for number in range(int(most)):
        client.send(b"NONSENSE %d\r\n" % number)
        reply = "\n".join(client.read_reply() or ["(closed)"])
        lab.transcript.write(f"{name}< {reply}\n")
        if script.Pattern(pattern, lab.words).matches(reply):
            return
        if not reply.startswith("500 "):
            raise Failure(f"reply {number + 1} was: {reply}")
    raise Failure(f"{most} bad commands, and no end")


# Hosts, name server, disk

@verb(r"start dns(?: (as root server|for everybody))?(?: with (\S+))?")
def start_dns(lab, step, manner, zones):
    if manner == "as root server":
        lab.become_root_server()
    elif manner:
        lab.resolve_by_dns()
    lab.dns.write_zones(lab.file(zones or "zones"))
    lab.dns.start()
    lab.until(lambda: None if lab.dns.is_ready() else "no answer", "nsd")


@verb(r"stop dns")
def stop_dns(lab, step):
    lab.dns.stop()


@verb(r"(un)?plug (\w+)")
def plug(lab, step, pulled, host):
    lab.network.plug(lab.host(host).name, not pulled)


@verb(r"small disk (\S+) at (\S+)")
def small_disk(lab, step, size, name):
    lab.small_disk(name, size)


@verb(r"(fill|free) disk at (\S+)")
def disk(lab, step, what, name):
    (lab.fill_disk if what == "fill" else lab.free_disk)(name)


@verb(r"file (\S+)")
def file(lab, step, name):
    """A file of the test's folder, its @VARIABLES@ put in, in the directory where it runs."""
    with open(lab.path(name), "w") as out:
        out.write(lab.file(name))


@verb(r"sleep " + DURATION)
def sleep(lab, step, duration):
    time.sleep(script.seconds(duration))


# Next hops

@verb(r"start (lmtp )?sink (\w+)(?: on (\w+))?(?: address (\S+))?(?: port (\d+))?")
def start_sink(lab, step, lmtp, name, host, address, port):
    place = lab.host(host or name)
    before = lab.sinks.get(name)
    default = (before.address, before.port) if before else (place.address, 25)
    new = lab.add_sink(name, place, address or default[0], int(port or default[1]))
    new.lmtp = bool(lmtp)
    new.start()


@verb(r"trust (\S+)")
def trust(lab, step, name):
    lab.trust(lab.path(name))


@verb(r"start web (\w+) with certificate (\S+) and key (\S+)")
def start_web(lab, step, name, certificate, key):
    lab.start_web(name, lab.path(certificate), lab.path(key))


@verb(r"stop web (\w+)")
def stop_web(lab, step, name):
    find(lab.webs, name, "web server").stop()


@verb(r"web (\w+) serves (\S+) at https://([^/]+)(/\S*)(?: as (\S+))?(?: with status (\d+))?")
def serve_page(lab, step, name, file, host, path, kind, status):
    page = int(status or 200), kind or "text/plain", lab.file(file).encode()
    find(lab.webs, name, "web server").pages[host, path] = page


@verb(r"web (\w+) takes reports at https://([^/]+)(/\S*)(?: with status (\d+))?( and an endless body)?")
def take_reports(lab, step, name, host, path, status, endless):
    web = find(lab.webs, name, "web server")
    web.takes[host, path] = int(status or 201)
    if endless:
        web.endless.add((host, path))


@verb(r"stop sink (\w+)")
def stop_sink(lab, step, name):
    lab.sink(name).stop()


@verb(rf"sink (\w+) at ({'|'.join(sink.STAGES)}) (?:reply \"([^\"]*)\"|({'|'.join(sink.ACTIONS)}))"
      r"(?: for \"([^\"]*)\")?(?: (once|\d+ times))?")
def sink_rule(lab, step, name, stage, reply, action, pattern, times):
    remaining = {None: -1, "once": 1}.get(times)
    if remaining is None:
        remaining = int(times.split()[0])
    target = lab.sink(name)
    with target.lock:
        target.rules.append(sink.Rule(stage, action or "reply", reply or "", remaining,
                                      pattern or ""))


@verb(r"sink (\w+) behaves")
def sink_behaves(lab, step, name):
    with lab.sink(name).lock:
        lab.sink(name).rules.clear()


@verb(r"sink (\w+) hangs up")
def sink_hangs_up(lab, step, name):
    lab.sink(name).hang_up()


@verb(r"sink (\w+) offers(?: (.*))?")
def sink_offers(lab, step, name, words):
    lab.sink(name).offered = shlex.split(words or "")


@verb(r"sink (\w+) has certificate (\S+) with key (\S+)( from the first byte)?")
def sink_has_certificate(lab, step, name, certificate, key, implicit):
    lab.sink(name).use_certificate(lab.path(certificate), lab.path(key), bool(implicit))


@verb(r"start postfix on (\w+) with (\S+)(?: port (\d+))?")
def start_postfix(lab, step, host, name, port):
    lab.start_postfix(lab.host(host), int(port or 2525), lab.file(name))


# The gateway

@verb(r"start gateway(?: with (\S+))?")
def start_gateway(lab, step, name):
    if name or not os.path.exists(lab.gateway.configuration):
        lab.configure(name or "smtpd.conf")
    lab.gateway.start()
    lab.until(lambda: None if lab.gateway.is_ready() else "no greeting", "start gateway")


@verb(r"stop gateway")
def stop_gateway(lab, step):
    status = lab.gateway.stop()
    if status != 0:
        raise Failure(f"smtpd ended with {status}")


@verb(r"reload gateway(?: with (\S+))?")
def reload_gateway(lab, step, name):
    if name:
        lab.configure(name)
    lab.gateway.reload()


@verb(r"kill -9 (\w+)")
def kill(lab, step, role):
    if role == "gateway":
        return lab.gateway.kill_all()
    if lab.gateway.kill(role) == 0:
        raise Failure(f"no process postern-{role}; there are: "
                      f"{sorted(lab.gateway.processes().values())}")


@verb(rf"expect process (\w+)(?: within {DURATION})?")
def expect_process(lab, step, role, limit):
    """The process runs, and is another one than those that were killed."""
    lab.until(lambda: None if lab.gateway.pids_of(role) else
              f"there are: {sorted(lab.gateway.processes().values())}",
              f"process {role}", script.seconds(limit or f"{WAIT}s"))


@verb(r"expect gateway (running|ended)")
def expect_gateway(lab, step, state):
    if lab.gateway.is_running() != (state == "running"):
        raise Failure(f"smtpd has not {state}")


# Sending

@verb(r"send (\d+) messages?(?: from <(\S*)>)? to <(\S+)>(?: over (\d+) connections?)?"
      r"(?: of (\d+) octets)?(?: at (\d+)/s)?(?: through (\S+))?(?: within " + DURATION + r")?"
      r"( in the background)?")
def send(lab, step, count, sender, recipients, connections, size, rate, address, limit, background):
    port = 2525
    if address and address.count(":") == 1:
        address, port = address.split(":")
    source = lab.host("client")
    if address and address.startswith("127.") and lab.network.isolated:
        source = lab.host("gateway")
    target = (address or lab.hosts["gateway"].address, int(port))
    one = load.Load(f"load{len(lab.loads) + 1}", lambda: source.connect(*target, 5), int(count),
                    "sender@src.example" if sender is None else sender, recipients.split(","),
                    int(connections or 1), int(size or 500), int(rate) if rate else None,
                    script.seconds(limit or "60s"))
    lab.loads.append(one)
    one.start()
    if not background:
        finish(one)


@verb(r"send a message of (\d+) octets to <(\S+)> and expect \"(.*)\"")
def send_and_expect(lab, step, size, recipient, pattern):
    """The reply at whatever stage the message is refused, or the last one."""
    one = load.Load("probe", None, 1, "sender@src.example", [recipient], size=int(size))
    client = smtp_client.Client(lab.host("client").connect(lab.hosts["gateway"].address, 2525))
    client.greet("client.example")
    reply = "250 accepted"
    try:
        client.send_message(one.sender, one.recipients, one.content("probe"))
    except smtp_client.Refused as refusal:
        reply = str(refusal).partition(": ")[2]
    client.quit()
    if not script.Pattern(pattern, lab.words).matches(reply):
        raise Failure(f"the reply was: {reply}")


@verb(r"kill -9 processes at random while messages go to <(\S+)> at (\d+)/s for " + DURATION)
def kill_at_random(lab, step, recipient, rate, duration):
    """POSTERN_KILL_SECONDS and POSTERN_KILL_SEED say how long instead, and from which seed."""
    seconds = float(os.environ.get("POSTERN_KILL_SECONDS") or script.seconds(duration))
    seed = int(os.environ.get("POSTERN_KILL_SEED") or random.SystemRandom().randrange(10**9))
    lab.transcript.write(f"seed {seed}, {seconds:g} s\n")
    send(lab, step, int(rate) * int(seconds), None, recipient, 6, None, rate, None,
         f"{seconds + 60:g}s", True)
    send(lab, step, max(1, int(seconds / 2)), None, recipient, 2, 300000, 1, None,
         f"{seconds + 60:g}s", True)
    lab.killer = killer.Killer(lab.gateway, seed, lambda line: lab.transcript.write(line + "\n"))
    lab.killer.run(seconds, lambda: start_gateway(lab, step, None))
    print(f"seed {seed}: {len(lab.killer.kills)} kills in {seconds:g} s, "
          f"{len(lab.identifiers_accepted())} messages answered 250 so far", flush=True)


@verb(r"expect sink (\w+) got twice only what a kill explains")
def expect_explained(lab, step, name):
    with lab.sink(name).lock:
        messages = list(lab.sink(name).messages)
    twice = killer.duplicates(messages, load.identifier_of)
    print(f"{len(messages)} arrived, {len(twice)} of them again", flush=True)
    unexplained = [identifier for identifier, at in twice if not lab.killer.explains(at)]
    if unexplained:
        raise Failure(f"nothing was killed when these were delivered: {unexplained}")


@verb(r"wait for the messages to be accepted")
def wait_for_load(lab, step):
    for one in lab.loads:
        finish(one)


@verb(r"send messages of all shapes to <(\S+)>(?: through ([^:\s]+)(?::(\d+))?)?")
def send_shapes(lab, step, recipients, address, port):
    client = smtp_client.Client(lab.host("client").connect(
        address or lab.hosts["gateway"].address, int(port or 2525)))
    client.greet("client.example")
    for name, content in shapes.messages().items():
        lab.transcript.write(f"{name}: {len(content)} octets\n")
        client.send_message("alice@src.example", recipients.split(","), content, " BODY=8BITMIME")
    client.quit()


def finish(one):
    try:
        one.wait()
    except RuntimeError as error:
        raise Failure(str(error)) from None


# Looking

def amount_amiss(contents, wanted, lab):
    """None if that many messages are there (each identifier counted once), or, for "all", every one
    that was answered 250."""
    if wanted == "all":
        got = {load.identifier_of(content) for content in contents}
        accepted = lab.identifiers_accepted()
        if not accepted:
            raise script.ScriptError("nothing was sent, so \"all\" says nothing")
        missing = [identifier for identifier in accepted if identifier not in got]
        return f"{len(missing)} of {len(accepted)} missing, such as {missing[0]}" if missing \
            else None
    return None if len(contents) == int(wanted) else f"got {len(contents)}"


def contents_of(lab, name):
    with lab.sink(name).lock:
        return [message.content for message in lab.sink(name).messages]


@verb(rf"expect sink (\w+) got (\d+|all)(?: within {DURATION})?")
def expect_sink_got(lab, step, name, wanted, limit):
    lab.until(lambda: amount_amiss(contents_of(lab, name), wanted, lab), step.text,
              script.seconds(limit or f"{WAIT}s"))


@verb(rf"expect sinks (\w+(?: \w+)*) together got (\d+|all)(?: within {DURATION})?")
def expect_sinks_got(lab, step, names, wanted, limit):
    lab.until(lambda: amount_amiss([content for name in names.split()
                                    for content in contents_of(lab, name)], wanted, lab),
              step.text, script.seconds(limit or f"{WAIT}s"))


MAILBOXES = {"maildir": maildir_messages, "mbox": mbox_messages}


@verb(r"expect (maildir|mbox) (\S+) got (\d+|all)")
def expect_mailbox_got(lab, step, kind, path, wanted):
    path = os.path.join(lab.directory, path)
    lab.until(lambda: amount_amiss(MAILBOXES[kind](path), wanted, lab), step.text)


@verb(rf"expect (maildir|mbox) (\S+) has all shapes(?: within {DURATION})?")
def expect_shapes(lab, step, kind, path, limit):
    path = os.path.join(lab.directory, path)
    form = {"maildir": shapes.in_maildir, "mbox": shapes.in_mbox}[kind]
    lab.until(lambda: shapes.amiss(MAILBOXES[kind](path), form), step.text,
              script.seconds(limit or f"{WAIT}s"))


@verb(r"expect sink (\w+) still got (\d+) after " + DURATION)
def expect_sink_still(lab, step, name, wanted, duration):
    time.sleep(script.seconds(duration))
    if amiss := amount_amiss(contents_of(lab, name), wanted, lab):
        raise Failure(amiss)


def expect_message(lab, step, messages):
    """One of the messages has all the lines of the patterns, in their order."""
    def amiss():
        found = messages()
        first = None
        for lines in found:
            failing = script.match_lines(step.patterns, lines, lab.words)
            if failing is None:
                return None
            first = first or failing
        return f"none of {len(found)} messages has: {first}"
    lab.until(amiss, step.text)


@verb(r"expect sink (\w+) message")
def expect_sink_message(lab, step, name):
    def messages():
        with lab.sink(name).lock:
            return [message.lines() for message in lab.sink(name).messages]
    expect_message(lab, step, messages)


@verb(r"expect (sink|web) (\w+) report")
def expect_report(lab, step, kind, name):
    def of_sink():
        with lab.sink(name).lock:
            return [message.lines()[:1] + reports.mail_lines(message.content)
                    for message in lab.sink(name).messages
                    if reports.mail_lines(message.content)]

    def of_web():
        return [reports.post_lines(post) for post in find(lab.webs, name, "web server").posts]
    expect_message(lab, step, of_sink if kind == "sink" else of_web)


@verb(r"expect (maildir|mbox) (\S+) message")
def expect_mailbox_message(lab, step, kind, path):
    path = os.path.join(lab.directory, path)
    expect_message(lab, step, lambda: [content.decode(errors="replace").splitlines()
                                       for content in MAILBOXES[kind](path)])


@verb(r"expect sink (\w+) (\d+) to (\d+) connections")
def expect_connections(lab, step, name, least, most):
    if not int(least) <= lab.sink(name).connections <= int(most):
        raise Failure(f"there were {lab.sink(name).connections}")


@verb(rf"expect log \"(.*)\"(?: (\d+) times)?(?: within {DURATION})?")
def expect_log(lab, step, text, times, limit):
    def amiss():
        pattern = script.Pattern(text, lab.words)
        count = 0
        for line in lab.gateway.log():
            if pattern.matches(line):
                count += 1
                if not times:
                    return None
        return None if times and count == int(times) else f"{count} such lines"
    lab.until(amiss, "log", script.seconds(limit or f"{WAIT}s"))


@verb(r"expect no log \"(.*)\"")
def expect_no_log(lab, step, text):
    for line in lab.gateway.log():
        if script.Pattern(text, dict(lab.words)).matches(line):
            raise Failure(f"the log has: {line}")


# Programs

@verb(rf"eventually (.*?)(?: within {DURATION})?")
def eventually(lab, step, inner, limit):
    """Repeats a smtpctl or run step until it succeeds."""
    function, match = find_verb(inner)
    if function not in (smtpctl, run, fails):
        raise script.ScriptError(f"eventually takes smtpctl, run or fails, not: {inner}")

    def amiss():
        try:
            function(lab, step, *match.groups())
        except Failure as error:
            return str(error)
        return None
    lab.until(amiss, inner, script.seconds(limit or f"{WAIT}s"))


@verb(r"fails(?: (\d+))?: (smtpctl|run) (.*)")
def fails(lab, step, status, kind, rest):
    function, match = find_verb(f"{kind} {rest}")
    function(lab, step, *match.groups(), wanted=int(status) if status else "not 0")


@verb(r"smtpctl (.*)")
def smtpctl(lab, step, arguments, wanted=0):
    judge(lab, step, lab.gateway.smtpctl(shlex.split(arguments)), wanted)


@verb(r"run(?: on (\w+):)? (.*)")
def run(lab, step, host, command, wanted=0):
    """A program on a host. smtpd and smtpctl are the gateway's."""
    words = shlex.split(command)
    if words[0] in ("smtpd", "smtpctl"):
        words = lab.gateway.command(*words)
    elif words[0] in PEERS:
        words[0] = os.path.join(lab.build, "peers/bin", words[0])
    judge(lab, step, lab.host(host or "client").run(words, cwd=lab.directory), wanted)


def judge(lab, step, outcome, wanted):
    status, output = outcome
    lab.transcript.write(f"$ {step.text}\n{output}(exit status {status})\n")
    if (status == 0) if wanted == "not 0" else (status != wanted):
        raise Failure(f"exit status {status}, wanted {wanted}; output:\n{output}")
    failing = script.match_lines(step.patterns, output.splitlines(), lab.words)
    if failing is not None:
        raise Failure(f"no line matches: {failing}\nin the output:\n{output}")
