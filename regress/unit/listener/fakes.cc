#include "regress/unit/listener/fakes.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/smtp/text.h"

namespace postern::listener::test {

std::string FakeFile::content() const {
    struct stat status {};
    fstat(file_.get(), &status);
    std::string bytes(static_cast<size_t>(status.st_size), '\0');
    if (pread(file_.get(), bytes.data(), bytes.size(), 0) != status.st_size)
        bytes = "(cannot be read)";
    return bytes;
}

Task<Submission::OpenedFile> FakeQueue::open_content_file(IpAddress client, Duration limit) {
    file_client = client;
    OpenedFile opened;
    if (silent)
        co_await executor_.sleep(limit);
    if (silent || gone || files_gone)
        co_return opened;
    opened.refused = file_refusal;
    if (opened.refused)
        co_return opened;
    ++files_opened;
    FileDescriptor file(disk_full ? ::open("/dev/full", O_WRONLY) : memfd_create("content", 0));
    opened.file = std::make_unique<FakeFile>(std::move(file), files_given_back);
    co_return opened;
}

Task<std::optional<Submission::Answer>>
FakeQueue::submit(ipc::Submit submit, std::unique_ptr<ContentFile> file, Duration limit) {
    co_await executor_.sleep(silent ? limit : delay);
    if (silent || gone)
        co_return std::nullopt;
    if (refusal)
        co_return Answer(*refusal);
    Message message;
    message.in_file = file != nullptr;
    if (auto* ours = static_cast<FakeFile*>(file.get())) {
        ours->submitted();
        message.content = ours->content();
    } else {
        message.content = submit.content.bytes;
    }
    message.submit = std::move(submit);
    messages.push_back(std::move(message));
    ipc::Durable durable;
    durable.message = 0xabcd0000 + messages.size();
    co_return Answer(durable);
}

Task<std::optional<ipc::Woken>> FakeQueue::wake(ipc::Wake question, Duration limit) {
    co_await executor_.sleep(silent ? limit : delay);
    if (silent || gone)
        co_return std::nullopt;
    ipc::Woken woken;
    woken.messages = waiting[question.domain];
    woken.result = woken_lately     ? ipc::WakeResult::too_soon
                   : woken.messages ? ipc::WakeResult::started
                                    : ipc::WakeResult::nothing;
    wakes.push_back(std::move(question));
    co_return woken;
}

Task<ipc::RouteAnswer> FakeLookup::route(ipc::RouteQuery query, Duration limit) {
    ipc::RouteAnswer answer;
    queries.push_back(query);
    most_at_once = std::max(most_at_once, ++now_);
    auto own = delays.find(query.recipient);
    const Duration wait = silent ? limit : own != delays.end() ? own->second : delay;
    if (wait > Duration(0))
        co_await executor_.sleep(wait);
    --now_;
    if (silent)
        co_return answer;
    auto verdict = verdicts.find(query.recipient);
    answer.verdict = verdict == verdicts.end() ? ipc::RouteVerdict::accepted : verdict->second;
    if (mailboxes.contains(query.recipient))
        answer.route.kind = ActionKind::maildir;
    co_return answer;
}

Task<ipc::AuthenticateAnswer> FakeAccounts::authenticate(ipc::Authenticate question,
                                                         Duration limit) {
    asked.push_back({question.table, question.user, std::string(question.password.view())});
    ipc::AuthenticateAnswer answer;
    if (silent)
        co_await executor_.sleep(limit);
    if (silent || away)
        co_return answer;
    const std::string user = ascii_lower(question.user);
    const auto password = passwords.find(user);
    if (password != passwords.end())
        co_await executor_.sleep(check);
    const bool good = password != passwords.end() && password->second == question.password.view();
    answer.verdict = good ? ipc::Authentication::ok : ipc::Authentication::failed;
    if (good)
        answer.user = user;
    co_return answer;
}

Task<ipc::SaslAnswer> FakeAccounts::start(ipc::SaslStart start, Duration limit) {
    started.push_back(start.table + " " + std::string(to_string(start.mechanism)) + " " +
                      start.client.to_string());
    const auto find = [this](std::string_view name) {
        ScramExchange::Account account;
        account.user = ascii_lower(name);
        const auto found = scram_secrets.find(account.user);
        account.exists = found != scram_secrets.end();
        account.secret =
            *parse_scram_secret(account.exists ? found->second : scram_secrets.begin()->second);
        return account;
    };
    exchanges.erase(start.exchange);
    exchanges.emplace(start.exchange,
                      ScramExchange(start.mechanism == SaslMechanism::scram_sha_256_plus,
                                    start.bindings, nonce, find));
    return step(start.exchange, std::move(start.response), limit);
}

Task<ipc::SaslAnswer> FakeAccounts::respond(ipc::SaslResponse response, Duration limit) {
    return step(response.exchange, std::move(response.response), limit);
}

Task<ipc::SaslAnswer> FakeAccounts::step(uint64_t id, Secret message, Duration limit) {
    ipc::SaslAnswer answer;
    if (silent)
        co_await executor_.sleep(limit);
    if (forgetful)
        exchanges.erase(id);
    const auto exchange = exchanges.find(id);
    if (silent || away || exchange == exchanges.end())
        co_return answer;
    const ScramExchange::State state = exchange->second.respond(message.view());
    answer.challenge = exchange->second.challenge();
    answer.user = exchange->second.user();
    answer.verdict = state == ScramExchange::State::asking     ? ipc::SaslVerdict::challenge
                     : state == ScramExchange::State::complete ? ipc::SaslVerdict::ok
                     : state == ScramExchange::State::failed   ? ipc::SaslVerdict::failed
                                                               : ipc::SaslVerdict::malformed;
    if (answer.verdict != ipc::SaslVerdict::challenge)
        exchanges.erase(exchange);
    co_return answer;
}

void FakeAccounts::cancel(uint64_t exchange) {
    ++cancelled;
    exchanges.erase(exchange);
}

std::optional<std::vector<SaslMechanism>>
FakeAccounts::announced(const std::string& credentials) const {
    return dovecot_socket(credentials) ? dovecot : std::nullopt;
}

Task<ipc::SenderVerdict> FakeAccounts::check_sender(ipc::SenderQuery query, Duration limit) {
    sender_queries.push_back(query);
    if (silent)
        co_await executor_.sleep(limit);
    if (silent || away)
        co_return ipc::SenderVerdict::temporary;
    co_return senders[query.user].contains(query.reverse_path) ? ipc::SenderVerdict::owned
                                                               : ipc::SenderVerdict::not_owned;
}

Task<ipc::ResolveAnswer> FakeResolver::resolve(ipc::ResolveQuery query, Duration limit) {
    ++questions;
    ipc::ResolveAnswer answer;
    if (delay > Duration(0))
        co_await executor_.sleep(std::min(delay, limit));
    if (delay >= limit)
        co_return answer;
    answer.status = ipc::ResolveStatus::no_domain;
    if (query.type == ipc::RecordType::ptr) {
        for (const std::string& name : pointers[query.address]) {
            answer.records.emplace_back().name = name;
            answer.status = ipc::ResolveStatus::ok;
        }
        co_return answer;
    }
    const uint8_t version = query.type == ipc::RecordType::a ? 4 : 6;
    auto [first, last] = addresses.equal_range(query.name);
    for (; first != last; ++first) {
        if (first->second.version != version)
            continue;
        answer.records.emplace_back().address = first->second;
        answer.status = ipc::ResolveStatus::ok;
    }
    co_return answer;
}

Task<Result<TlsFacts>> FakeEncryption::begin(std::string go_ahead, Duration limit) {
    stream_.hold_input(true);
    stream_.write(go_ahead);
    if (behaviour_.delay > Duration(0))
        co_await stream_.executor().sleep(std::min(behaviour_.delay, limit));
    if (!behaviour_.failure.empty())
        co_return Error{behaviour_.failure};
    stream_.hold_input(false);
    TlsFacts facts;
    facts.protocol = "TLSv1.3";
    facts.cipher = "TLS_AES_128_GCM_SHA256";
    facts.bindings = behaviour_.bindings;
    co_return facts;
}

ipc::Refused refused(uint16_t code, const char* enhanced, const char* text) {
    ipc::Refused refusal;
    refusal.code = code;
    refusal.enhanced = enhanced;
    refusal.text = text;
    return refusal;
}

} // namespace postern::listener::test
