"""The project's own goals: what the figures of Postern should be on a machine with two cores, beside
those of Postfix from the same run or by themselves."""
import dataclasses

MEASURE = "postfix"  # the server whose figures ratios are of


@dataclasses.dataclass
class Goal:
    job: str
    case: str
    figure: str      # the key in results
    kind: str        # times: our figure is so many of Postfix's at least; part: at most; least; most
    bound: float
    text: str


def pair(case, times, part, text):
    return [Goal("relay", case, "delivered_per_s", "times", times, f"{text}: messages/s"),
            Goal("relay", case, "cpu_s_per_1000", "part", 1 / part, f"{text}: CPU s/1000")]


GOALS = [
    *pair("4k-c20", 7, 14, "relay 4 KiB, 20 clients"),
    *pair("4k-c20-lasting", 9, 18, "the same, lasting connections"),
    *pair("4k-c1", 2, 4, "relay 4 KiB, 1 client"),
    *pair("4k-c100", 7, 16, "relay 4 KiB, 100 clients"),
    *pair("100k-c20", 4, 8, "relay 100 KiB, 20 clients"),
    Goal("accept", "accept-4k-c20-lasting", "accepted_per_s", "times", 8,
         "accept alone, 20 lasting clients: messages/s"),
    Goal("idle", "plain", "kib_per_session", "most", 10, "idle session: PSS KiB"),
    Goal("relay", "4k-c20", "peak_pss_mib", "most", 40, "20 clients, all processes: peak PSS MiB"),
    Goal("backlog", "dead", "live_after_part", "least", 0.95,
         "mail queued for a dead host: live rate after / before"),
    Goal("backlog", "dead", "first_page_s", "most", 0.05, "that queue listed: first page, s"),
    Goal("backlog", "dead", "listing_s", "most", 0.2, "that queue listed: all, s"),
    Goal("backlog", "dead", "restart_220_s", "most", 0.1, "restart with that queue: 220 after s"),
    Goal("backlog", "dead", "restart_quiet_s", "most", 1, "restart with that queue: quiet after s"),
    Goal("calls", "4k-c20-lasting", "calls_per_message", "most", 25,
         "system calls per message, lasting connections"),
    Goal("calls", "4k-c20", "calls_per_message", "most", 25, "the same, a connection for each"),
    Goal("durability", "4k", "unsynced", "most", 0, "4 KiB: 250 before its sync has returned"),
    Goal("durability", "100k", "unsynced", "most", 0, "100 KiB: 250 before its sync has returned"),
    Goal("durability", "1m", "unsynced", "most", 0, "1 MiB: 250 before its sync has returned"),
]


def judge(goal, ours, measure):
    """(what is held against the bound, whether it is met); None where a figure is missing."""
    if ours is None:
        return None, None
    if goal.kind in ("times", "part"):
        if not measure:
            return None, None
        ratio = ours / measure
        return ratio, ratio >= goal.bound if goal.kind == "times" else ratio <= goal.bound
    return ours, ours >= goal.bound if goal.kind == "least" else ours <= goal.bound


def wanted(goal):
    """The bound as people write it."""
    if goal.kind == "times":
        return f">= {goal.bound:g} x Postfix"
    if goal.kind == "part":
        return f"<= 1/{1 / goal.bound:g} of Postfix"
    return f"{'>=' if goal.kind == 'least' else '<='} {goal.bound:g}"
