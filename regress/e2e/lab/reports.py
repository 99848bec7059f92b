"""Reports on TLS (RFC 8460), as scripts look at them: the lines of what came, JSON one member a line."""
import email
import email.policy
import gzip
import json


class Malformed(Exception):
    """It is no report."""


def need(holder, *names):
    for name in names:
        if name not in holder:
            raise Malformed(f"there is no {name} in {holder}")


def read_json(octets):
    """The report, whose members are those that section 4.4 has."""
    try:
        report = json.loads(octets.decode("ascii"))
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from error
    need(report, "organization-name", "date-range", "contact-info", "report-id", "policies")
    need(report["date-range"], "start-datetime", "end-datetime")
    for policy in report["policies"]:
        need(policy, "policy", "summary")
        need(policy["policy"], "policy-type", "policy-domain")
        need(policy["summary"], "total-successful-session-count", "total-failure-session-count")
        for detail in policy.get("failure-details", []):
            need(detail, "result-type", "failed-session-count")
    return report


def json_lines(kind, octets):
    """Of a report of a media type (5.3)."""
    if kind == "application/tlsrpt+gzip":
        octets = gzip.decompress(octets)
    elif kind != "application/tlsrpt+json":
        raise Malformed(f"a report is not {kind}")
    return json.dumps(read_json(octets), indent=1).split("\n")


def mail_lines(content):
    """The header, a field a line, then the parts: what each is, and what is in it. Empty: it is other
    mail."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    if message.get_content_type() != "multipart/report":
        return []
    parts = list(message.iter_parts())
    if message.get_param("report-type") != "tlsrpt" or len(parts) != 2:
        raise Malformed("not a report on TLS of two parts")
    lines = [f"{name}: {' '.join(value.split())}" for name, value in message.raw_items()]
    lines += [f"Content-Type: {parts[0].get_content_type()}"]
    lines += parts[0].get_content().splitlines()
    kind = parts[1].get_content_type()
    lines += [f"Content-Type: {kind}", f"filename {parts[1].get_filename()}"]
    return lines + json_lines(kind, parts[1].get_content())


def post_lines(post):
    """What was posted to a web server: (host, path, header, content)."""
    host, path, header, content = post
    lines = [f"POST https://{host}{path}"]
    lines += [f"{name}: {value}" for name, value in header]
    return lines + json_lines(dict(header).get("Content-Type"), content)
