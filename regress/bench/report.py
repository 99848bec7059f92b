"""What people read: a line for each run while it goes on, then a table of the medians of all servers
for each job, with their ratios to Postfix's, and the goals, met or not."""
import goals

# What is put in, or says how it was: no ratio is of interest.
PLAIN = {"messages", "queued", "sessions", "processes", "fsync_per_s", "light_messages",
         "full_messages", "unsynced", "load_cpu_s_per_1000", "live_after_part", "base_mib"}


def number(value):
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else
                f"{value:.3f}".rstrip("0").rstrip(".") or "0")
    return str(value)


def median(values):
    """Of words, one that is in the middle; None of nothing."""
    values = sorted(values)
    middle = len(values) // 2
    if not values:
        return None
    if len(values) % 2 or isinstance(values[0], str):
        return values[middle]
    return (values[middle - 1] + values[middle]) / 2


class Medians:
    """The medians of the rounds that went well."""

    def __init__(self, results):
        self.results = results

    def of(self, job, case, server, figure):
        return median([result[figure] for result in self.results
                       if (result["job"], result["case"], result["server"]) == (job, case, server)
                       and result["ok"] and result.get(figure) is not None])

    def rounds(self, job, case, server):
        """(rounds that went well, rounds)."""
        found = [result["ok"] for result in self.results
                 if (result["job"], result["case"], result["server"]) == (job, case, server)]
        return sum(found), len(found)


def show(result, figures):
    """One run."""
    parts = [f"{title} {number(result[key])}" for key, title in figures
             if result.get(key) is not None]
    print(f"{result['server']:<9}  {result['job']} {result['case']}: " + ", ".join(parts))
    if result.get("cpu_s_per_1000_by_process"):
        waits = result["switches_per_message_by_process"]
        print(" " * 11 + "CPU s/1000 (waits/message): " + ", ".join(
            f"{name} {value:.3f} ({waits.get(name, 0):.2f})" for name, value in
            sorted(result["cpu_s_per_1000_by_process"].items(), key=lambda item: -item[1])))
    for note in result.get("notes", []):
        print(" " * 11 + note)
    if result.get("slow_disk"):
        print(" " * 11 + f"slow disk: {result['fsync_per_s']} files with fsync a second")
    if result.get("other_work", 0) > 0.1:
        print(" " * 11 + f"disturbed: other work took {result['other_work']:.0%} of the machine")
    if not result["ok"]:
        print(" " * 11 + f"FAILED: {result['error']}" +
              (f" (log: {result['log']})" if "log" in result else ""))
        if result.get("last_log_line"):
            print(" " * 11 + f"the server's last words: {result['last_log_line']}")


def columns(rows, left=1):
    """Lines of a table; the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" if at < left else f"{cell:>{width}}"
                        for at, (cell, width) in enumerate(zip(row, widths))).rstrip()


def job_table(job, results, servers, figures):
    """The medians of all servers, and their ratios to Postfix's."""
    medians = Medians(results)
    cases = dict.fromkeys(result["case"] for result in results if result["job"] == job)
    shown = [(key, title) for key, title in figures
             if any(result.get(key) is not None for result in results if result["job"] == job)]
    rows = [["case", "server", "rounds", *(title for _, title in shown)]]
    for case in cases:
        for server in servers:
            good, all_of_them = medians.rounds(job, case, server)
            if not all_of_them:
                continue
            cells = []
            for key, _ in shown:
                value = medians.of(job, case, server, key)
                measure = medians.of(job, case, goals.MEASURE, key)
                ratio = (f" ({value / measure:.2g})" if server != goals.MEASURE and measure and
                         isinstance(value, (int, float)) and key not in PLAIN else "")
                cells.append(number(value) + ratio)
            rows.append([case, server, str(good) if good == all_of_them else
                         f"{good} of {all_of_them}", *cells])
    return columns(rows, 2)


def goal_table(results, servers):
    """Every goal whose job was run, with the figures of all servers."""
    medians, jobs = Medians(results), {result["job"] for result in results}
    rows = [["goal", *servers, "wanted", "is", ""]]
    for goal in goals.GOALS:
        if goal.job not in jobs:
            continue
        values = {server: medians.of(goal.job, goal.case, server, goal.figure)
                  for server in servers}
        if values.get("postern") is None:
            continue
        is_now, met = goals.judge(goal, values["postern"], values.get(goals.MEASURE))
        if goal.kind == "part" and is_now:
            shown = f"1/{1 / is_now:.1f}"
        else:
            shown = number(is_now) + (" x" if goal.kind == "times" and is_now is not None else "")
        rows.append([goal.text, *(number(values[server]) for server in servers), goals.wanted(goal),
                     shown, {True: "met", False: "NOT MET", None: "no measure"}[met]])
    return columns(rows) if len(rows) > 1 else []
