"""Plots as SVG, by a few lines of our own: bars for what servers do, lines for what grows. Each says
below on what machine that was."""
import html
import math
import os

import report

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 460, 70, 20, 70, 90
COLOURS = {"postern": "#0072b2", "postfix": "#d55e00", "opensmtpd": "#009e73", "exim": "#cc79a7"}
OTHER = "#555555"
STYLE = "font-family:sans-serif;font-size:12px"


class Axis:
    """From values to places between two ends; logarithmic from the power of ten below the least."""

    def __init__(self, values, begin, end, logarithmic=False):
        values = [value for value in values if value > 0] or [1]
        self.begin, self.end, self.logarithmic = begin, end, logarithmic
        if logarithmic:
            self.least = 10 ** math.floor(math.log10(min(values)))
            self.most = 10 ** math.ceil(math.log10(max(values) * 1.01))
        else:
            self.least, self.most = 0, self.step(max(values)) * math.ceil(
                max(values) / self.step(max(values)))

    @staticmethod
    def step(most):
        """A round number, so that there are four to eight steps."""
        power = 10 ** math.floor(math.log10(most))
        return next(power * factor for factor in (0.125, 0.25, 0.5, 1, 2)
                    if most / (power * factor) <= 8)

    def at(self, value):
        if self.logarithmic:
            value = max(value, self.least)
            part = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            part = value / self.most
        return self.begin + (self.end - self.begin) * part

    def ticks(self):
        if self.logarithmic:
            value = self.least
            while value <= self.most * 1.001:
                yield value
                value *= 10
        else:
            step = self.step(self.most)
            for number in range(round(self.most / step) + 1):
                yield number * step


class Plot:
    def __init__(self, title, footer):
        self.parts = []
        self.text(LEFT, 24, title, "start", "font-size:16px;font-weight:bold")
        self.text(LEFT, HEIGHT - 10, footer, "start", "font-size:10px")

    def text(self, x, y, words, anchor="middle", style=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
                          f'style="{style}">{html.escape(str(words))}</text>')

    def line(self, x1, y1, x2, y2, colour="#ccc", width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"/>')

    def legend(self, names):
        x = LEFT
        for name, colour in names:
            self.parts.append(f'<rect x="{x}" y="38" width="12" height="12" fill="{colour}"/>')
            self.text(x + 17, 49, name, "start")
            x += 45 + 7 * len(name)

    def scale(self, axis):
        for value in axis.ticks():
            self.line(LEFT, axis.at(value), WIDTH - RIGHT, axis.at(value))
            self.text(LEFT - 6, axis.at(value) + 4, report.number(float(value)), "end")

    def write(self, path):
        with open(path, "w") as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                       f'style="{STYLE}">\n<rect width="100%" height="100%" fill="white"/>\n' +
                       "\n".join(self.parts) + "\n</svg>\n")


def bars(path, title, footer, groups, series, logarithmic=False):
    """`series`: {name: {group: value}}; a value that is missing has no bar."""
    values = [value for of_one in series.values() for value in of_one.values()]
    if not values:
        return
    plot, axis = Plot(title, footer), Axis(values, HEIGHT - BOTTOM, TOP, logarithmic)
    plot.scale(axis)
    plot.legend([(name, COLOURS.get(name, OTHER)) for name in series])
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    width = room * 0.8 / len(series)
    for at, group in enumerate(groups):
        plot.text(LEFT + room * (at + 0.5), HEIGHT - BOTTOM + 18, group)
        for number, (name, of_one) in enumerate(series.items()):
            if group not in of_one:
                continue
            x, y = LEFT + room * (at + 0.1) + width * number, axis.at(of_one[group])
            plot.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" '
                              f'height="{HEIGHT - BOTTOM - y:.1f}" '
                              f'fill="{COLOURS.get(name, OTHER)}"/>')
            plot.text(x + width / 2 - 1, y - 4, report.number(float(of_one[group])), "middle",
                      "font-size:10px")
    plot.write(path)


def lines(path, title, footer, below, series, logarithmic=False):
    """`series`: {name: [(x, y)]}; `below`: what x is."""
    series = {name: points for name, points in series.items() if points}
    points = [point for of_one in series.values() for point in of_one]
    if not points:
        return
    plot = Plot(title, footer)
    across = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, logarithmic)
    plot.scale(axis)
    for value in across.ticks():
        plot.text(across.at(value), HEIGHT - BOTTOM + 18, report.number(float(value)))
    plot.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, below)
    plot.legend([(name, COLOURS.get(name, OTHER)) for name in series])
    for name, of_one in series.items():
        colour = COLOURS.get(name, OTHER)
        for (x1, y1), (x2, y2) in zip(of_one, of_one[1:]):
            plot.line(across.at(x1), axis.at(y1), across.at(x2), axis.at(y2), colour, 2)
        for x, y in of_one:
            plot.parts.append(f'<circle cx="{across.at(x):.1f}" cy="{axis.at(y):.1f}" r="4" '
                              f'fill="{colour}"><title>{report.number(float(x))}: '
                              f'{report.number(float(y))}</title></circle>')
    plot.write(path)


def grid(results, servers, job, figures):
    """{server: {group: median}}; `figures`: (case, key, group)."""
    medians = report.Medians(results)
    found = {server: {group: medians.of(job, case, server, key) for case, key, group in figures}
             for server in servers}
    return {server: {group: value for group, value in of_one.items() if value is not None}
            for server, of_one in found.items() if any(v is not None for v in of_one.values())}


def grown(results, case, key):
    """{server: points} of the job "growth"."""
    return {result["server"]: result["points"][key] for result in results
            if result["job"] == "growth" and result["case"] == case and result["ok"]}


def all_plots(directory, results, servers, footer):
    """Writes those for whose jobs there are results. Returns nothing; files are named *.svg."""
    def place(name):
        return os.path.join(directory, name + ".svg")

    cases = list(dict.fromkeys(result["case"] for result in results if result["job"] == "relay"))
    for name, key, title, logarithmic in (
            ("rate", "delivered_per_s", "Relaying: messages delivered a second", False),
            ("cpu", "cpu_s_per_1000", "Relaying: CPU seconds for 1000 messages", True),
            ("memory", "peak_pss_mib", "Relaying: peak memory of all processes, MiB", False)):
        bars(place(name), title, footer, cases,
             grid(results, servers, "relay", [(case, key, case) for case in cases]), logarithmic)
    groups = [("4k", f"{load}_{step}_{name}_ms", f"{load} {title} {name}")
              for step, title in (("accepted", "250"), ("passed_on", "hop"))
              for load in ("light", "full") for name in ("p50", "p99")]
    bars(place("latency"), "Milliseconds from connection to 250, and from that to the next hop's",
         footer, [group for _, _, group in groups], grid(results, servers, "latency", groups), True)
    cases = list(dict.fromkeys(result["case"] for result in results if result["job"] == "growth"
                               and result.get("delivered_per_s") is not None))
    bars(place("processes"), "Messages delivered a second, by number of processes", footer, cases,
         grid(results, servers, "growth", [(case, "delivered_per_s", case) for case in cases]))
    lines(place("sessions"), "Memory of an idle session, KiB", footer, "sessions",
          grown(results, "sessions", "sessions"))
    lines(place("queue-cpu"), "CPU seconds for 1000 messages beside a queue", footer,
          "messages that wait for a dead host", grown(results, "queue", "cpu"), True)
    lines(place("queue-rate"), "Messages delivered a second beside a queue", footer,
          "messages that wait for a dead host", grown(results, "queue", "rate"))
