#include "smtpd/resolver/resolver.h"

#include <vector>

#include "common/base/log.h"
#include "smtpd/resolver/answer.h"

namespace postern {

struct Resolver::Question final : Timer {
    Question(Resolver& resolver, uint64_t id, PeerId peer, uint32_t request, DnsQuestion question)
        : resolver(resolver), id(id), peer(peer), request(request), question(std::move(question)) {}
    void expired() override { resolver.expire(id); } // destroys us

    Resolver& resolver;
    uint64_t id;
    PeerId peer;
    uint32_t request;
    DnsQuestion question;
};

Resolver::Resolver(Executor& executor, Counters& counters, HostsFile hosts, Duration limit)
    : executor_(executor), queries_(counters["resolver.queries"]),
      failures_(counters["resolver.failures"]), bogus_(counters["resolver.bogus"]),
      hosts_(std::move(hosts)), limit_(limit) {}

Resolver::~Resolver() = default;

void Resolver::use_backend(std::unique_ptr<DnsBackend> backend) {
    backend_ = std::move(backend);
    // Copies: an answer may be there at once, and takes its question off the list.
    std::vector<std::pair<uint64_t, DnsQuestion>> open;
    for (const auto& [id, entry] : questions_)
        open.emplace_back(id, entry->question);
    for (const auto& [id, question] : open)
        backend_->ask(id, question);
}

void Resolver::reconfigure(HostsFile hosts, Duration limit) {
    hosts_ = std::move(hosts);
    limit_ = limit;
}

Resolver::PeerId Resolver::add_peer(Send send) {
    const PeerId id = next_id_++;
    peers_[id].send = std::move(send);
    return id;
}

void Resolver::remove_peer(PeerId peer) {
    peers_.erase(peer);
    for (auto it = questions_.begin(); it != questions_.end();) {
        if (it->second->peer != peer) {
            ++it;
            continue;
        }
        backend_->cancel(it->first);
        it = questions_.erase(it);
    }
}

bool Resolver::ask(PeerId peer_id, const ipc::ResolveQuery& query) {
    auto found = peers_.find(peer_id);
    if (found == peers_.end() || found->second.open >= ipc::resolution_credit)
        return false;
    ++queries_;
    Peer& peer = found->second;
    std::optional<DnsQuestion> question = make_question(query);
    if (!question) {
        ipc::ResolveAnswer answer;
        answer.request = query.request;
        answer.status = ipc::ResolveStatus::no_domain;
        send(peer, std::move(answer));
        return true;
    }
    if (std::optional<ipc::ResolveAnswer> known = hosts_.answer(*question)) {
        known->request = query.request;
        send(peer, std::move(*known));
        return true;
    }
    const uint64_t id = next_id_++;
    auto owned =
        std::make_unique<Question>(*this, id, peer_id, query.request, std::move(*question));
    Question& entry = *owned;
    entry.arm(executor_, executor_.now() + limit_);
    questions_.emplace(id, std::move(owned));
    ++peer.open;
    // A copy: the reply may come from inside, and takes the question with it.
    const DnsQuestion asked = entry.question;
    backend_->ask(id, asked);
    return true;
}

void Resolver::reply(uint64_t id, const DnsBackend::Reply& reply) {
    auto found = questions_.find(id);
    if (found == questions_.end())
        return;
    const DnsQuestion& question = found->second->question;
    ipc::ResolveAnswer answer;
    answer.canonical_name = question.name;
    if (reply.bogus) {
        ++bogus_;
        log::warning("answer failed validation", {{"name", question.name}, {"why", reply.reason}});
        answer.status = ipc::ResolveStatus::bogus;
    } else if (!reply.failed) {
        answer = parse_answer(reply.packet, question);
        answer.secure = reply.secure && answer.status != ipc::ResolveStatus::temporary;
    }
    finish(id, std::move(answer));
}

void Resolver::expire(uint64_t id) {
    log::debug("no answer in time", {{"name", questions_.at(id)->question.name}});
    backend_->cancel(id);
    ipc::ResolveAnswer answer;
    answer.canonical_name = questions_.at(id)->question.name;
    finish(id, std::move(answer));
}

void Resolver::finish(uint64_t id, ipc::ResolveAnswer answer) {
    auto node = questions_.extract(id);
    answer.request = node.mapped()->request;
    auto peer = peers_.find(node.mapped()->peer);
    if (peer == peers_.end())
        return;
    --peer->second.open;
    send(peer->second, std::move(answer));
}

void Resolver::send(Peer& peer, ipc::ResolveAnswer answer) {
    if (answer.status == ipc::ResolveStatus::temporary)
        ++failures_;
    peer.send(std::move(answer));
}

} // namespace postern
