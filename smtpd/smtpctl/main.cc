// smtpctl: shows and steers a running server.
#include <cstdio>
#include <cstring>
#include <ctime>
#include <getopt.h>
#include <string>
#include <sysexits.h>
#include <vector>

#include "common/mail/message_id.h"
#include "smtpd/smtpctl/conversation.h"
#include "smtpd/smtpctl/encrypt.h"
#include "smtpd/smtpctl/format.h"
#include "smtpd/smtpctl/orders.h"
#include "smtpd/smtpctl/queue_words.h"
#include "smtpd/smtpctl/spool_check.h"

namespace {

using namespace postern;
using Words = std::vector<std::string>;

constexpr const char* default_socket = "/run/postern/smtpd.sock";
constexpr const char* usage =
    "usage: smtpctl [-s socket] command\n"
    "\n"
    "  show queue [QUERY]      what is queued, a line for each recipient\n"
    "  show message ID         a message: its envelope and its content\n"
    "  show envelope ID        one recipient of a message\n"
    "  show destinations       where mail goes: what waits for each, and what keeps it waiting\n"
    "  show stats              counters of all processes\n"
    "  schedule WHAT           try now\n"
    "  remove WHAT             forget it, without a bounce\n"
    "  bounce WHAT [reason TEXT]            give up now, the sender is told\n"
    "  hold WHAT [for TIME] [reason TEXT]   do not try until it is released\n"
    "  release WHAT            what is held goes on\n"
    "  suspend MAIL [for TIME] [reason TEXT]            hold it, what is to come too\n"
    "  reroute MAIL host URL [for TIME] [reason TEXT]   send it there, what is to come too\n"
    "  resume ORDER|all        end an order that suspend or reroute gave\n"
    "  show orders             those that stand\n"
    "  pause mta|mda|smtp      stop relaying, local delivery, or accepting\n"
    "  resume mta|mda|smtp     go on with it\n"
    "  log verbose|brief       log more, or as usual\n"
    "  tls-reports send [DOMAIN]            what is to be told of TLS with the domain, or all, now\n"
    "  encrypt [PASSWORD]      its hash, for a table of users; from standard input without one\n"
    "  encrypt --scram [...]   the same, of the kind that SCRAM-SHA-256 needs\n"
    "  spool check             verifies the spool of the server on its disk, while it is used\n"
    "  spool check DIRECTORY   verifies a spool, while no server uses it\n"
    "\n"
    "MAIL is the ID of a message, or one or more of: from PATTERN, to PATTERN, via PATTERN.\n"
    "WHAT is an ID, all, or a QUERY. An ID is that of a message (16 hexadecimal digits) or of an\n"
    "envelope (the same, a dot, a number). A QUERY is one or more of: from PATTERN, to PATTERN,\n"
    "older TIME, newer TIME, error TEXT, state STATE, order ORDER; as in: hold to '*@slow.example' "
    "older 2h.\n"
    "Exit status: 0 done, 1 nothing there or refused, 64 wrong usage, 69 no server,\n"
    "74 the output cannot be written.\n";

int wrong_usage() {
    std::fputs(usage, stderr);
    return EX_USAGE;
}

int show_queue(ControlClient& client, const ipc::QueueFilter& filter) {
    ipc::QueueQuery query;
    query.limit = 500;
    query.filter = filter;
    while (true) {
        Asked<ipc::QueuePage> page = ask<ipc::QueuePage>(client, query);
        if (!page.answer)
            return page.status;
        int64_t now = std::time(nullptr);
        for (const ipc::EnvelopeEntry& entry : page.answer->entries)
            print(format_line(entry, now));
        if (page.answer->last) {
            if (page.answer->loading)
                std::fputs("smtpctl: the queue is still being read, there may be more\n", stderr);
            return 0;
        }
        query.after_message = page.answer->after_message;
        query.after_index = page.answer->after_index;
    }
}

int show_message(ControlClient& client, uint64_t id) {
    constexpr uint32_t piece = 64 * 1024;
    uint64_t offset = 0;
    while (true) {
        ipc::MessageQuery query;
        query.message = id;
        query.offset = offset;
        query.limit = piece;
        Asked<ipc::MessagePart> part = ask<ipc::MessagePart>(client, query);
        if (!part.answer)
            return part.status;
        if (!part.answer->found)
            return refused("there is no such message");
        if (offset == 0)
            print(format_message(*part.answer, id, std::time(nullptr)) + "\n");
        print(part.answer->content.bytes);
        offset += part.answer->content.bytes.size();
        if (part.answer->content.bytes.empty() || offset >= part.answer->size)
            return 0;
    }
}

int show_envelope(ControlClient& client, EnvelopeId id) {
    ipc::MessageQuery query;
    query.message = id.message.value;
    Asked<ipc::MessagePart> part = ask<ipc::MessagePart>(client, query);
    if (!part.answer)
        return part.status;
    for (const ipc::EnvelopeEntry& entry : part.answer->entries)
        if (entry.index == id.recipient) {
            print(format_details(entry, std::time(nullptr)));
            return 0;
        }
    return refused("there is no such envelope");
}

int show_destinations(ControlClient& client) {
    ipc::DestinationQuery query;
    while (true) {
        Asked<ipc::DestinationPage> page = ask<ipc::DestinationPage>(client, query);
        if (!page.answer)
            return page.status;
        for (const ipc::DestinationEntry& entry : page.answer->entries)
            print(format_destination(entry, std::time(nullptr)));
        if (page.answer->last)
            return 0;
        query.after = page.answer->after;
    }
}

int show_stats(ControlClient& client) {
    Asked<ipc::Stats> stats = ask<ipc::Stats>(client, ipc::StatsQuery());
    if (!stats.answer)
        return stats.status;
    for (const ipc::Counter& counter : stats.answer->counters)
        print(format_counter(counter));
    return 0;
}

// The exit status is that of the check of a directory.
int check_spool(ControlClient& client) {
    ipc::SpoolCheck question;
    while (true) {
        Asked<ipc::SpoolChecked> piece = ask<ipc::SpoolChecked>(client, question);
        if (!piece.answer)
            return EX_UNAVAILABLE;
        for (const std::string& line : piece.answer->lines)
            print(line + "\n");
        std::fflush(stdout);
        if (piece.answer->last)
            return piece.answer->damaged == 0 ? 0 : nothing_done;
        question.check = piece.answer->check;
    }
}

struct Target {
    uint64_t message;
    std::optional<uint32_t> index;
};

std::optional<Target> parse_target(const std::string& word) {
    auto id = parse_queue_id(word);
    if (!id)
        return std::nullopt;
    if (auto* envelope = std::get_if<EnvelopeId>(&*id))
        return Target{envelope->message.value, envelope->recipient};
    return Target{std::get<MessageId>(*id).value, std::nullopt};
}

int show(ControlClient& client, const Words& words) {
    if (words.size() == 2 && words[1] == "queue")
        return show_queue(client, {});
    if (words.size() > 2 && words[1] == "queue") {
        Words rest(words.begin() + 2, words.end());
        const std::optional<ipc::QueueFilter> filter = take_filter(rest, std::time(nullptr));
        return filter && rest.empty() ? show_queue(client, *filter) : wrong_usage();
    }
    if (words.size() == 2 && words[1] == "destinations")
        return show_destinations(client);
    if (words.size() == 2 && words[1] == "orders")
        return show_orders(client);
    if (words.size() == 2 && words[1] == "stats")
        return show_stats(client);
    if (words.size() != 3)
        return wrong_usage();
    if (words[1] == "message")
        if (auto id = parse_message_id(words[2]))
            return show_message(client, id->value);
    if (words[1] == "envelope")
        if (auto id = parse_envelope_id(words[2]))
            return show_envelope(client, *id);
    return wrong_usage();
}

std::optional<ipc::ChangeKind> parse_change(const std::string& verb) {
    if (verb == "schedule")
        return ipc::ChangeKind::schedule;
    if (verb == "remove")
        return ipc::ChangeKind::remove;
    if (verb == "bounce")
        return ipc::ChangeKind::bounce;
    if (verb == "hold")
        return ipc::ChangeKind::hold;
    if (verb == "release")
        return ipc::ChangeKind::release;
    return std::nullopt;
}

// VERB ID|all|QUERY [for TIME] [reason TEXT]
int change(ControlClient& client, ipc::ChangeKind kind, Words words) {
    ipc::Change question;
    question.kind = kind;
    words.erase(words.begin());
    if (kind == ipc::ChangeKind::bounce || kind == ipc::ChangeKind::hold)
        question.reason = take_option(words, "reason").value_or("");
    if (kind == ipc::ChangeKind::hold) {
        const std::optional<int64_t> until = take_until(words, std::time(nullptr));
        if (!until)
            return wrong_usage();
        question.until = *until;
    }
    if (std::optional<Target> target; words.size() == 1 && (target = parse_target(words[0]))) {
        question.message = target->message;
        question.index = target->index;
    } else {
        const std::optional<ipc::QueueFilter> filter = take_filter(words, std::time(nullptr));
        if (!filter || !words.empty())
            return wrong_usage();
        question.filter = *filter;
    }
    return change(client, std::move(question));
}

int pause(ControlClient& client, const std::string& what, bool paused) {
    ipc::Pause question;
    question.paused = paused;
    if (what == "mta")
        question.subsystem = ipc::Subsystem::mta;
    else if (what == "mda")
        question.subsystem = ipc::Subsystem::mda;
    else if (what == "smtp")
        question.subsystem = ipc::Subsystem::smtp;
    else
        return wrong_usage();
    return command(client, question);
}

int set_log(ControlClient& client, const std::string& what) {
    if (what != "verbose" && what != "brief")
        return wrong_usage();
    ipc::LogLevel question;
    question.verbose = what == "verbose";
    return command(client, question);
}

int send_tls_reports(ControlClient& client, const std::string& domain) {
    ipc::SendTlsReports question;
    question.domain = domain;
    const Asked<ipc::Done> done = ask<ipc::Done>(client, std::move(question));
    if (!done.answer)
        return done.status;
    if (!done.answer->ok)
        return refused(done.answer->error);
    const uint32_t reports = done.answer->affected;
    print(std::to_string(reports) + (reports == 1 ? " report\n" : " reports\n"));
    return reports ? 0 : nothing_done;
}

// What was to be shown has been shown, or the exit status is another.
int finish(int status) {
    if (std::fflush(stdout) == 0 && !std::ferror(stdout))
        return status;
    std::fprintf(stderr, "smtpctl: the output cannot be written\n");
    return EX_IOERR;
}

int run(ControlClient& client, const Words& words) {
    const std::string& verb = words[0];
    if (verb == "show")
        return show(client, words);
    if (words.size() < 2)
        return wrong_usage();
    if (const std::optional<ipc::ChangeKind> kind = parse_change(verb))
        return change(client, *kind, words);
    if (verb == "suspend" || verb == "reroute") {
        const std::optional<int> status = give_order(client, words);
        return status ? *status : wrong_usage();
    }
    if (verb == "tls-reports" && words[1] == "send" && words.size() <= 3)
        return send_tls_reports(client, words.size() == 3 ? words[2] : "");
    if (words.size() != 2)
        return wrong_usage();
    if (verb == "resume" && (words[1] == "all" || parse_number(words[1])))
        return end_orders(client, parse_number(words[1]));
    if (verb == "pause" || verb == "resume")
        return pause(client, words[1], verb == "pause");
    if (verb == "log")
        return set_log(client, words[1]);
    if (verb == "spool" && words[1] == "check")
        return check_spool(client);
    return wrong_usage();
}

} // namespace

int main(int argc, char** argv) {
    static const option long_options[] = {{"help", no_argument, nullptr, 'h'},
                                          {"version", no_argument, nullptr, 'V'},
                                          {"scram", no_argument, nullptr, 'S'},
                                          {nullptr, 0, nullptr, 0}};
    std::string socket = default_socket;
    PasswordForm form = PasswordForm::crypt;
    int letter;
    while ((letter = getopt_long(argc, argv, "hs:V", long_options, nullptr)) != -1) {
        switch (letter) {
        case 's':
            socket = optarg;
            break;
        case 'S':
            form = PasswordForm::scram;
            break;
        case 'h':
            std::fputs(usage, stdout);
            return finish(0);
        case 'V':
            std::puts("postern " POSTERN_VERSION);
            return finish(0);
        default:
            return wrong_usage();
        }
    }
    Words words(argv + optind, argv + argc);
    if (words.empty())
        return wrong_usage();
    if (words[0] == "encrypt" && words.size() <= 2)
        return words.size() == 2 ? encrypt(words[1], form) : encrypt_lines(form);
    if (form != PasswordForm::crypt)
        return wrong_usage();
    if (words.size() == 3 && words[0] == "spool" && words[1] == "check")
        return run_spool_check(words[2]);
    Result<std::unique_ptr<ControlClient>> client = ControlClient::connect(socket);
    if (!client)
        return away(client.error());
    return finish(run(**client, words));
}
