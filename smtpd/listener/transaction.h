// A mail transaction (RFC 5321 3.3): reverse-path, recipients, parameters, and what there is of its
// content when that comes in chunks. Waits for nobody.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/envelope.h"
#include "common/smtp/command.h"
#include "common/smtp/limits.h"
#include "smtpd/listener/chunked_content.h"

namespace postern::listener {

class Transaction {
  public:
    // `number` of the transaction within its session, from 1. `now` in seconds since the epoch.
    Transaction(const MailCommand& mail, uint32_t number, int64_t now);

    uint32_t number() const { return number_; }
    const std::string& reverse_path() const { return reverse_path_; }
    const std::vector<std::string>& recipients() const { return recipients_; }
    const MailParameters& parameters() const { return parameters_; }
    MailParameters& parameters() { return parameters_; }
    bool has_recipients() const { return !recipients_.empty(); }
    bool rcpt_seen() const { return rcpt_seen_; }

    // One more recipient fits, with `pending` others not decided yet. All recipients travel in one
    // message to the queue, so not only their number has a bound.
    bool has_room(const std::string& address, const RecipientParameters& parameters, size_t pending,
                  uint32_t max_recipients) const;
    static constexpr size_t max_recipient_bytes = 192 * 1024;

    void note_rcpt() { rcpt_seen_ = true; }
    // The address in wire form. The same one twice is one recipient: it gets one copy, and is
    // reported of if either was to be.
    void add_recipient(std::string address, RecipientParameters parameters);
    // RCPT commands that were answered with 250: one given twice counts twice.
    size_t accepted() const { return accepted_; }
    // The mailbox of the only recipient; what goes into the "for" of Received: (RFC 5321 4.4).
    const std::string* only_recipient() const {
        return recipients_.size() == 1 ? &recipients_.front() : nullptr;
    }

    std::unique_ptr<ChunkedContent> chunks; // from the first BDAT on

    // Bytes that all of this takes, roughly.
    size_t memory() const;

    // Takes the recipients out of here.
    ipc::Envelope take_envelope(const ipc::Origin& origin, int64_t accepted_at);

  private:
    bool is_new(const std::string& address);
    void join(const std::string& address, const RecipientParameters& parameters);
    uint32_t* place_of(const std::string& address);
    void index();

    uint32_t number_;
    std::string reverse_path_;
    MailParameters parameters_;
    int64_t began_at_;
    int64_t release_at_ = 0; // seconds since the epoch; 0: at once
    std::vector<std::string> recipients_;
    std::vector<ipc::RecipientOptions> options_;
    // Beyond a few recipients, a hash table of their places in recipients_, from 1; 0: free.
    std::vector<uint32_t> places_;
    size_t recipient_bytes_ = 0;
    size_t accepted_ = 0;
    bool rcpt_seen_ = false;
};

} // namespace postern::listener
