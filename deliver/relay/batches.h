// Which recipients of a message go into a transaction with a next hop, and which into a later one:
// no more at a time than it says, or has shown, that it takes (RFC 5321 4.5.3.1.10, RFC 9422).
#pragma once

#include <vector>

#include "deliver/relay/client_session.h"
#include "deliver/relay/exchangers.h"
#include "deliver/relay/message.h"
#include "deliver/relay/parameters.h"

namespace postern::relay {

// Recipients of one transaction at most; LIMITS RCPTMAX (RFC 9422) can make it fewer.
inline constexpr size_t recipients_per_transaction = 1000;

class Batches {
  public:
    // Of those of `recipients` that are open. The references must outlive this.
    Batches(const ClientSession& session, const Message& message,
            std::vector<Recipient>& recipients, const Random& random);

    // Takes the recipients of the next transaction; false: there are none left. What this next hop
    // cannot take, and what cannot be said in SMTP, is refused without its being asked.
    bool next();

    // Of the transaction, and of later ones.
    const std::vector<Recipient*>& present() const { return present_; }
    std::vector<Recipient*> later() const;
    // The transaction needs SMTPUTF8.
    bool utf8() const { return utf8_; }

    // The others would hear the same as those of the transaction: they belong to it from now on.
    void take_all();
    // Too many: it does not take this one in the present transaction.
    void put_off(Recipient& recipient) { overflow_.push_back(&recipient); }
    // The transaction is over, and has taken so many. Those that were put off get another one, as
    // long as there is progress.
    void settle_put_off(size_t accepted);

  private:
    bool acceptable();
    void refuse_unacceptable();
    static void refuse(Recipient& recipient, Diagnosis obstacle, bool later);
    void take();
    void begin_anywhere();

    const ClientSession& session_;
    const Message& message_;
    const Random& random_;
    const Abilities next_hop_;
    std::vector<Recipient*> waiting_;
    std::vector<Recipient*> present_;
    std::vector<Recipient*> overflow_; // of present_
    bool utf8_ = false;
    size_t limit_;
};

} // namespace postern::relay
