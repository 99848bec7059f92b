// Those who ask lookup: listeners, relays, and others (the queue), each over a channel of its own.
//
// Who does not read its answers loses its channel: at most unread_limit bytes wait for a listener,
// unread_expanded_limit for others, whose answers have those in it who are in recipients' places.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "common/ipc/authentication.h"
#include "common/ipc/channel.h"
#include "common/ipc/credentials.h"
#include "common/ipc/routing.h"
#include "common/ipc/supervision.h"
#include "smtpd/lookup/exchanges.h"
#include "smtpd/lookup/paced.h"

namespace postern {

// Who has asked. He may have gone when there is an answer, and another one, whose questions have
// the same numbers, be in his place: that one's life is another.
struct Asker {
    using Place = std::pair<ipc::Role, uint32_t>; // and index
    Place place;
    uint64_t life = 0;
};

struct Peer {
    // Listeners may ask more than others, and what others ask is a part of that: RouteQuery is the
    // first alternative of both.
    using ListenerChannel = ipc::Channel<ipc::ListenerToLookup, ipc::LookupToListener>;
    using OtherChannel = ipc::Channel<ipc::ToLookup, ipc::FromLookup>;
    using RelayChannel = ipc::Channel<ipc::RelayToLookup, ipc::LookupToRelay>;

    uint64_t life = 0;
    std::unique_ptr<ListenerChannel> listener; // one of the three
    std::unique_ptr<Exchanges> exchanges;      // of the listener
    std::unique_ptr<RelayChannel> relay;
    std::unique_ptr<OtherChannel> other;
    std::unique_ptr<Paced> paced; // of `other`: its answers may be long
};

class Peers {
  public:
    // `on_gone` is called after each that has been disconnected.
    explicit Peers(std::function<void()> on_gone) : on_gone_(std::move(on_gone)) {}

    // The next one in this place; its life is to be that of its Peer.
    Asker next(ipc::Role role, uint32_t index) { return {{role, index}, next_life_++}; }
    // From now on it is there, in place of the one before.
    void add(Asker asker, Peer peer);
    // Null: it has gone.
    Peer* find(Asker asker);
    bool empty() const { return peers_.empty(); }
    void clear() { peers_.clear(); } // without a word to on_gone
    template <class Visit> void for_each(const Visit& visit) {
        for (auto& [place, peer] : peers_)
            visit(peer);
    }

    // To those who are still there.
    void answer_listener(Asker asker, ipc::LookupToListener answer);
    void answer_relay(Asker asker, ipc::LookupToRelay answer);
    void answer_other(Asker asker, ipc::FromLookup answer);
    void disconnect(Asker asker);

  private:
    template <class Channel, class Answer> void send(Asker asker, Channel& channel, Answer answer);

    std::function<void()> on_gone_;
    uint64_t next_life_ = 1;
    std::map<Asker::Place, Peer> peers_;
};

} // namespace postern
