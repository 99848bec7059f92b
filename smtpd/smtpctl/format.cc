#include "smtpd/smtpctl/format.h"

#include <ctime>

#include "common/base/log.h"
#include "common/config/relay_url.h"
#include "common/mail/message_id.h"

namespace postern {

const char* state_name(ipc::RecipientState state) {
    switch (state) {
    case ipc::RecipientState::ready:
        return "ready";
    case ipc::RecipientState::in_flight:
        return "in-flight";
    case ipc::RecipientState::deferred:
        return "deferred";
    case ipc::RecipientState::paused:
        return "paused";
    case ipc::RecipientState::held:
        return "held";
    case ipc::RecipientState::unreadable:
        return "unreadable";
    }
    return "unknown";
}

namespace {

std::string envelope_id(const ipc::EnvelopeEntry& entry) {
    return to_string(EnvelopeId{MessageId{entry.message}, entry.index});
}

std::string in_brackets(const std::string& path) { return "<" + path + ">"; }

std::string until(int64_t when, int64_t now) { return format_duration(when - now); }

bool held_for_good(const ipc::EnvelopeEntry& entry) {
    return entry.state == ipc::RecipientState::held && entry.next_attempt == 0;
}

std::string date(int64_t when) {
    std::time_t seconds = when;
    std::tm parts;
    char text[40];
    if (!gmtime_r(&seconds, &parts))
        return "?";
    return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

// "name: value\n", the value escaped as in a log line.
std::string fact(std::string_view name, const std::string& value) {
    std::string quoted = log::format(log::Level::info, "", {{"", value}});
    return std::string(name) + ": " + quoted.substr(2) + "\n"; // after " ="
}

// Of what cannot be read nothing is known but when it was accepted.
std::string unreadable_line(const ipc::EnvelopeEntry& entry, int64_t now) {
    const std::string what = envelope_id(entry) + " " + state_name(entry.state);
    const std::string age = format_duration(now - entry.accepted_at);
    const std::string next = until(entry.next_attempt, now);
    const std::string line =
        entry.next_attempt
            ? log::format(log::Level::info, what,
                          {{"age", age}, {"next", next}, {"error", entry.last_error}})
            : log::format(log::Level::info, what, {{"age", age}, {"error", entry.last_error}});
    return line + "\n";
}

std::string at(int64_t when, int64_t now) { return date(when) + ", in " + until(when, now); }

std::string unreadable_details(const ipc::EnvelopeEntry& entry, int64_t now) {
    std::string text;
    text += fact("envelope", envelope_id(entry));
    text += fact("state", state_name(entry.state));
    text += fact("accepted", date(entry.accepted_at));
    if (entry.next_attempt)
        text += fact("next-attempt", at(entry.next_attempt, now));
    text += fact("last-error", entry.last_error);
    return text;
}

} // namespace

std::string format_duration(int64_t seconds) {
    if (seconds <= 0)
        return "0s";
    if (seconds < 60)
        return std::to_string(seconds) + "s";
    if (seconds < 3600)
        return std::to_string(seconds / 60) + "m";
    auto pair = [](int64_t big, const char* unit, int64_t small, const char* other) {
        std::string text = std::to_string(big) + unit;
        return small ? text + std::to_string(small) + other : text;
    };
    if (seconds < 86400)
        return pair(seconds / 3600, "h", seconds % 3600 / 60, "m");
    return pair(seconds / 86400, "d", seconds % 86400 / 3600, "h");
}

std::string format_line(const ipc::EnvelopeEntry& entry, int64_t now) {
    if (entry.state == ipc::RecipientState::unreadable)
        return unreadable_line(entry, now);
    return log::format(log::Level::info, envelope_id(entry) + " " + state_name(entry.state),
                       {{"from", in_brackets(entry.reverse_path)},
                        {"to", in_brackets(entry.recipient)},
                        {"size", entry.size},
                        {"age", format_duration(now - entry.accepted_at)},
                        {"next", held_for_good(entry) ? std::string("never")
                                                      : until(entry.next_attempt, now)},
                        {"expires", until(entry.expires_at, now)},
                        {"attempts", entry.attempts},
                        {"error", entry.last_error}}) +
           "\n";
}

std::string format_details(const ipc::EnvelopeEntry& entry, int64_t now) {
    if (entry.state == ipc::RecipientState::unreadable)
        return unreadable_details(entry, now);
    std::string text;
    text += fact("envelope", envelope_id(entry));
    text += fact("state", state_name(entry.state));
    text += fact("from", in_brackets(entry.reverse_path));
    text += fact("to", in_brackets(entry.recipient));
    text += fact("size", std::to_string(entry.size));
    text += fact("accepted", date(entry.accepted_at));
    text += fact("next-attempt", entry.next_attempt     ? at(entry.next_attempt, now)
                                 : held_for_good(entry) ? std::string("never")
                                                        : std::string("now"));
    text += fact("expires", at(entry.expires_at, now));
    text += fact("attempts", std::to_string(entry.attempts));
    text += fact("last-error", entry.last_error.empty() ? "none" : entry.last_error);
    return text;
}

std::string format_message(const ipc::MessagePart& message, uint64_t id, int64_t now) {
    const ipc::Origin& origin = message.envelope.origin;
    std::string text;
    text += fact("message", to_string(MessageId{id}));
    const bool unreadable =
        !message.entries.empty() && message.entries[0].state == ipc::RecipientState::unreadable;
    if (!unreadable) {
        text += fact("from", in_brackets(message.envelope.reverse_path));
        text += fact("client", origin.internal ? "this server" : origin.client.to_string());
        text += fact("helo", origin.helo);
        text += fact("accepted", date(message.envelope.accepted_at));
        if (message.envelope.release_at > now)
            text += fact("held-until", at(message.envelope.release_at, now));
        text += fact("size", std::to_string(message.size));
    }
    for (const ipc::EnvelopeEntry& entry : message.entries)
        text += "envelope: " + format_line(entry, now);
    return text;
}

std::string format_order(const ipc::StandingOrder& order, int64_t now) {
    const bool suspends = order.kind == ipc::OrderKind::suspend;
    std::string text = std::to_string(order.number) + (suspends ? " suspend" : " reroute");
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty())
            text += log::format(log::Level::info, "", {{name, value}});
    };
    add("message", order.message ? to_string(MessageId{*order.message}) : "");
    add("from", order.sender);
    add("to", order.recipient);
    add("via", order.next_hop);
    if (order.host)
        add("host", config::to_url(*order.host));
    add("age", format_duration(now - order.given_at));
    add("ends", order.until ? until(order.until, now) : "never");
    add("reason", order.reason);
    return text + "\n";
}

std::string format_destination(const ipc::DestinationEntry& entry, int64_t now) {
    static constexpr const char* states[] = {"open", "limited", "held", "probing"};
    const std::string name = log::format(log::Level::info, "", {{"", entry.destination}});
    std::string text =
        log::format(log::Level::info,
                    name.substr(2) + " " + states[static_cast<size_t>(entry.state)], // after " ="
                    {{"waiting", entry.waiting}, {"out", entry.out}, {"at-most", entry.most}});
    if (entry.state == ipc::DestinationState::held)
        text += log::format(log::Level::info, "",
                            {{"next", until(entry.until, now)}, {"error", entry.reason}});
    return text + "\n";
}

std::string format_counter(const ipc::Counter& counter) {
    return counter.name + "=" + std::to_string(counter.value) + "\n";
}

} // namespace postern
