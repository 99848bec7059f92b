// smtpctl: shows and steers a running server.
#include <cstdio>
#include <cstring>
#include <ctime>
#include <getopt.h>
#include <string>
#include <sysexits.h>
#include <vector>

#include "common/mail/message_id.h"
#include "smtpd/smtpctl/client.h"
#include "smtpd/smtpctl/encrypt.h"
#include "smtpd/smtpctl/format.h"
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
    "  show stats              counters of all processes\n"
    "  schedule WHAT           try now\n"
    "  remove WHAT             forget it, without a bounce\n"
    "  bounce WHAT [reason TEXT]            give up now, the sender is told\n"
    "  hold WHAT [for TIME] [reason TEXT]   do not try until it is released\n"
    "  release WHAT            what is held goes on\n"
    "  pause mta|mda|smtp      stop relaying, local delivery, or accepting\n"
    "  resume mta|mda|smtp     go on with it\n"
    "  log verbose|brief       log more, or as usual\n"
    "  encrypt [PASSWORD]      its hash, for a table of users; from standard input without one\n"
    "  encrypt --scram [...]   the same, of the kind that SCRAM-SHA-256 needs\n"
    "  spool check DIRECTORY   verifies a spool, while no server uses it\n"
    "\n"
    "WHAT is an ID, all, or a QUERY. An ID is that of a message (16 hexadecimal digits) or of an\n"
    "envelope (the same, a dot, a number). A QUERY is one or more of: from PATTERN, to PATTERN,\n"
    "older TIME, newer TIME, error TEXT, state STATE; as in: hold to '*@slow.example' older 2h.\n"
    "Exit status: 0 done, 1 nothing there or refused, 64 wrong usage, 69 no server,\n"
    "74 the output cannot be written.\n";

constexpr int nothing_done = 1;

int wrong_usage() {
    std::fputs(usage, stderr);
    return EX_USAGE;
}

int refused(const std::string& why) {
    std::fprintf(stderr, "smtpctl: %s\n", why.c_str());
    return nothing_done;
}

int away(const Error& error) {
    std::fprintf(stderr, "smtpctl: %s\n", error.message.c_str());
    return EX_UNAVAILABLE;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// The answer as T, or the exit status of what else it is.
template <class T> struct Asked {
    std::optional<T> answer;
    int status = 0;
};
template <class T> Asked<T> ask(ControlClient& client, ipc::Question question) {
    Result<ipc::Answer> answer = client.ask(std::move(question));
    if (!answer)
        return {std::nullopt, away(answer.error())};
    if (T* wanted = std::get_if<T>(&*answer))
        return {std::move(*wanted), 0};
    if (auto* done = std::get_if<ipc::Done>(&*answer))
        return {std::nullopt, refused(done->error)};
    return {std::nullopt, refused("an unexpected answer")};
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
        if (page.answer->last)
            return 0;
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

int show_stats(ControlClient& client) {
    Asked<ipc::Stats> stats = ask<ipc::Stats>(client, ipc::StatsQuery());
    if (!stats.answer)
        return stats.status;
    for (const ipc::Counter& counter : stats.answer->counters)
        print(format_counter(counter));
    return 0;
}

int command(ControlClient& client, ipc::Question question) {
    Asked<ipc::Done> done = ask<ipc::Done>(client, std::move(question));
    if (!done.answer)
        return done.status;
    return done.answer->ok ? 0 : refused(done.answer->error);
}

// All pieces of it, and how many envelopes it reached.
int change(ControlClient& client, ipc::Change change) {
    uint64_t affected = 0;
    for (bool last = false; !last;) {
        Asked<ipc::Changed> changed = ask<ipc::Changed>(client, change);
        if (!changed.answer) {
            if (affected)
                print(std::to_string(affected) + " envelopes before that\n");
            return changed.status;
        }
        affected += changed.answer->affected;
        change.after_message = changed.answer->after_message;
        last = changed.answer->last;
    }
    print(std::to_string(affected) + (affected == 1 ? " envelope\n" : " envelopes\n"));
    return affected ? 0 : nothing_done;
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

// Takes "NAME VALUE" off the end of the words.
std::optional<std::string> take_option(Words& words, const std::string& name) {
    if (words.size() < 2 || words[words.size() - 2] != name)
        return std::nullopt;
    std::string value = words.back();
    words.resize(words.size() - 2);
    return value;
}

// VERB ID|all|QUERY [for TIME] [reason TEXT]
int change(ControlClient& client, ipc::ChangeKind kind, Words words) {
    ipc::Change question;
    question.kind = kind;
    words.erase(words.begin());
    if (kind == ipc::ChangeKind::bounce || kind == ipc::ChangeKind::hold)
        question.reason = take_option(words, "reason").value_or("");
    if (kind == ipc::ChangeKind::hold) {
        if (const std::optional<std::string> time = take_option(words, "for")) {
            const std::optional<int64_t> seconds = parse_time(*time);
            if (!seconds)
                return wrong_usage();
            question.until = std::time(nullptr) + *seconds;
        }
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
    if (words.size() != 2)
        return wrong_usage();
    if (verb == "pause" || verb == "resume")
        return pause(client, words[1], verb == "pause");
    if (verb == "log")
        return set_log(client, words[1]);
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
