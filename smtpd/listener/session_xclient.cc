// XCLIENT: somebody in front of us, whom we trust, says on whose behalf it speaks
// (https://www.postfix.org/XCLIENT_README.html). Unlike a PROXY header it comes within the session,
// and as often as it likes. From then on limits, rules and trace are about the client that was
// named, and the session begins anew.
#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

// Whoever is connected: it may speak for one client after another.
bool Session::may_give_client() const {
    const std::vector<Network>& trusted = address().xclient_from;
    return std::any_of(trusted.begin(), trusted.end(),
                       [this](const Network& network) { return network.contains(peer_); });
}

void Session::take_given_client(const XclientCommand& given) {
    if (!may_give_client())
        return complain(replies::may_not_give_client());
    if (transaction_)
        return complain(replies::not_in_transaction("XCLIENT"));
    budget_.idle_command();
    begin_anew();
    // These are of the last XCLIENT only; name and address stay until there are others.
    given_.said = true;
    given_.helo = given.helo.value_or("");
    given_.extended = given.extended;
    user_ = given.login.value_or("");
    if (given.address && !given.name && *given.address != connection_.client)
        name_given_ = false; // it was that of another
    if (given.name) {
        name_given_ = name_awaited_ = true;
        reverse_name_ = *given.name;
    }
    if (given.address && !change_client(*given.address))
        return;
    log::info("client given", {{"session", to_string(MessageId{id()})},
                               {"peer", peer_.to_string()},
                               {"client", connection_.client.to_string()},
                               {"name", reverse_name_},
                               {"helo", given_.helo},
                               {"user", user_}});
    say(replies::greeting(hostname(), address().lmtp));
}

// False: there is no more room for this one, and the session is over.
bool Session::change_client(const IpAddress& client) {
    if (client == connection_.client)
        return true;
    note_received();
    connection_.account.reset();
    connection_.client = client;
    admit_client();
    if (!talking())
        return false;
    if (!name_given_) {
        reverse_name_.clear();
        name_known_ = std::make_unique<Completion<bool>>(executor());
        name_awaited_ = false;
        tasks_.spawn(learn_reverse_name(client));
    }
    return true;
}

} // namespace postern::listener
