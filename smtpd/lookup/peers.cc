#include "smtpd/lookup/peers.h"

#include "common/base/log.h"

namespace postern {

namespace {

// Questions are answered as they come, so what a peer has open is what it has not read yet: with
// its credit, no more than so many answers of this size (bytes).
constexpr size_t largest_answer = 2048;
constexpr size_t unread_limit = ipc::routing_credit * largest_answer;
// The same with those who are in recipients' places (bytes): a packet's worth each, several of the
// largest lists at once.
constexpr size_t unread_expanded_limit = 128u << 20;

} // namespace

void Peers::add(Asker asker, Peer peer) {
    peer.life = asker.life;
    peers_.insert_or_assign(asker.place, std::move(peer));
}

Peer* Peers::find(Asker asker) {
    const auto found = peers_.find(asker.place);
    return found == peers_.end() || found->second.life != asker.life ? nullptr : &found->second;
}

void Peers::answer_listener(Asker asker, ipc::LookupToListener answer) {
    if (Peer* peer = find(asker))
        send(asker, *peer->listener, std::move(answer));
}

void Peers::answer_relay(Asker asker, ipc::LookupToRelay answer) {
    if (Peer* peer = find(asker))
        send(asker, *peer->relay, std::move(answer));
}

void Peers::answer_other(Asker asker, ipc::FromLookup answer) {
    if (Peer* peer = find(asker))
        send(asker, *peer->other, std::move(answer));
}

template <class Channel, class Answer>
void Peers::send(Asker asker, Channel& channel, Answer answer) {
    channel.send(std::move(answer));
    const auto [role, index] = asker.place;
    const size_t limit = role == ipc::Role::listener ? unread_limit : unread_expanded_limit;
    if (channel.unsent() <= limit)
        return;
    log::error("peer does not read its answers",
               {{"peer", ipc::role_name(role)}, {"index", index}});
    disconnect(asker);
}

void Peers::disconnect(Asker asker) {
    peers_.erase(asker.place);
    on_gone_();
}

} // namespace postern
