// See transaction.h.
#include "deliver/relay/transaction.h"

#include <algorithm>
#include <set>

#include "common/mail/domain.h"
#include "common/smtp/data_decoder.h"
#include "common/smtp/limits.h"

namespace postern::relay {

namespace {

// Content waiting to be sent, beyond which no more is read.
constexpr size_t content_ahead = 128 * 1024;

// What may stand in a command line between angle brackets, whoever wrote it: anything else could
// end the command and begin another.
bool is_sendable(std::string_view path) {
    return std::all_of(path.begin(), path.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// "Too many recipients" (RFC 5321 4.5.3.1.10), and not a full mailbox or disk.
bool means_too_many(const Reply& reply) {
    return (reply.code == 452 || reply.code == 552) &&
           (!reply.status.present() || (reply.status.subject == 5 && reply.status.detail == 3));
}

void decide(Recipient& recipient, Verdict verdict, Diagnosis diagnosis) {
    recipient.verdict = verdict;
    recipient.diagnosis = std::move(diagnosis);
}

class Transaction {
  public:
    Transaction(ClientSession& session, const Message& message, std::vector<Recipient>& recipients,
                const Random& random);

    // Refuses what this next hop cannot take, and what cannot be said in SMTP.
    bool acceptable();
    // Takes the recipients of the next transaction; false: there are none left.
    bool next_batch();
    Task<void> run();

  private:
    enum class Data { refused, go };

    std::string mail_command() const;
    static std::string recipient_command(const Recipient& recipient);

    Task<bool> reset();
    Task<bool> mail();
    Task<bool> recipient(Recipient& recipient);
    Task<Data> data();
    Task<void> finish_without_recipients();
    Task<bool> envelope();
    Task<bool> content();
    Task<void> results();

    // A verdict from a reply that is not intermediate.
    void judge(Recipient& recipient, const Reply& reply);
    void judge(const std::vector<Recipient*>& recipients, const Reply& reply);
    void leave_open(std::vector<Recipient*>& recipients);
    void settle_overflow();
    void begin_anywhere();
    void abandon_content();
    void lost_after_content(size_t first);

    ClientSession& session_;
    const Message& message_;
    const Random& random_;
    const bool pipelined_;
    std::vector<Recipient*> waiting_;  // for a transaction
    std::vector<Recipient*> batch_;    // of the present one
    std::vector<Recipient*> accepted_; // of batch_: RCPT was answered 2yz
    std::vector<Recipient*> overflow_; // of batch_: too many for this transaction
    size_t batch_limit_;
};

Transaction::Transaction(ClientSession& session, const Message& message,
                         std::vector<Recipient>& recipients, const Random& random)
    : session_(session), message_(message), random_(random),
      pipelined_(session.capabilities().pipelining) {
    for (Recipient& recipient : recipients)
        if (recipient.verdict == Verdict::open)
            waiting_.push_back(&recipient);
    const uint64_t stated = session.capabilities().rcpt_max.value_or(recipients_per_transaction);
    batch_limit_ =
        static_cast<size_t>(std::clamp<uint64_t>(stated, 1, uint64_t{recipients_per_transaction}));
    if (waiting_.size() > batch_limit_ || session.capabilities().rcpt_domain_max)
        begin_anywhere();
}

void Transaction::begin_anywhere() {
    if (waiting_.size() > 1)
        std::rotate(waiting_.begin(),
                    waiting_.begin() + static_cast<std::ptrdiff_t>(random_(waiting_.size())),
                    waiting_.end());
}

bool Transaction::acceptable() {
    const EhloCapabilities& capabilities = session_.capabilities();
    std::optional<Diagnosis> refusal;
    if (!is_sendable(message_.reverse_path))
        refusal = Diagnosis(status::non_ascii_address,
                            "the reverse-path needs SMTPUTF8 or is no mailbox");
    else if (message_.eight_bit && !capabilities.eight_bit_mime)
        refusal = Diagnosis(status::conversion_not_supported,
                            "the content is 8-bit and the next hop does not offer 8BITMIME");
    else if (capabilities.max_size != 0 && message_.content.size() > capabilities.max_size)
        refusal = Diagnosis(status::message_too_big,
                            "the content has " + std::to_string(message_.content.size()) +
                                " octets and the next hop takes " +
                                std::to_string(capabilities.max_size) + " at most");
    if (refusal) {
        refusal->remote = session_.remote();
        for (Recipient* recipient : waiting_)
            decide(*recipient, Verdict::permanent, *refusal);
        return false;
    }
    std::erase_if(waiting_, [this](Recipient* recipient) {
        if (!recipient->address.empty() && is_sendable(recipient->address))
            return false;
        decide(*recipient, Verdict::permanent,
               Diagnosis(status::non_ascii_address,
                         "the forward-path needs SMTPUTF8 or is no mailbox", session_.remote()));
        return true;
    });
    return true;
}

bool Transaction::next_batch() {
    batch_.clear();
    accepted_.clear();
    overflow_.clear();
    const auto domains_limit = session_.capabilities().rcpt_domain_max; // RFC 9422
    std::set<std::string> domains;
    size_t taken = 0;
    while (taken < waiting_.size() && taken < batch_limit_) {
        if (domains_limit) {
            const std::string& address = waiting_[taken]->address;
            domains.insert(normalize_domain(address.substr(address.rfind('@') + 1)));
            if (taken > 0 && domains.size() > *domains_limit)
                break;
        }
        ++taken;
    }
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(taken);
    batch_.assign(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    return !batch_.empty();
}

std::string Transaction::mail_command() const {
    std::string line = "MAIL FROM:<" + message_.reverse_path + ">";
    const EhloCapabilities& capabilities = session_.capabilities();
    if (capabilities.size)
        line += " SIZE=" + std::to_string(message_.content.size());
    if (capabilities.eight_bit_mime &&
        (message_.eight_bit || message_.parameters.body == Body::eight_bit_mime))
        line += " BODY=8BITMIME";
    return line + "\r\n";
}

std::string Transaction::recipient_command(const Recipient& recipient) {
    return "RCPT TO:<" + recipient.address + ">\r\n";
}

void Transaction::judge(Recipient& recipient, const Reply& reply) {
    const Verdict verdict = reply.is_positive()            ? Verdict::delivered
                            : reply.is_permanent_failure() ? Verdict::permanent
                                                           : Verdict::temporary;
    decide(recipient, verdict, Diagnosis(reply, reply.code / 100, session_.remote()));
}

void Transaction::judge(const std::vector<Recipient*>& recipients, const Reply& reply) {
    for (Recipient* recipient : recipients)
        judge(*recipient, reply);
}

// The session has failed before these got a verdict.
void Transaction::leave_open(std::vector<Recipient*>& recipients) {
    for (Recipient* recipient : recipients)
        if (recipient->verdict == Verdict::open)
            recipient->diagnosis = session_.failure();
}

Task<bool> Transaction::reset() {
    if (!session_.needs_reset())
        co_return true;
    if (!pipelined_)
        session_.command("RSET\r\n");
    std::optional<Reply> reply = co_await session_.reply("the reply to RSET", limits::client_mail);
    if (reply && !reply->is_positive())
        session_.fail_unexpected("the reply to RSET", *reply);
    co_return reply && reply->is_positive();
}

// False: refused, or the session has failed.
Task<bool> Transaction::mail() {
    if (!pipelined_)
        session_.command(mail_command());
    session_.transaction_begun();
    std::optional<Reply> reply = co_await session_.reply("the reply to MAIL", limits::client_mail);
    if (!reply)
        co_return false;
    if (reply->is_positive())
        co_return true;
    // The others would hear the same.
    batch_.insert(batch_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    if (reply->is_permanent_failure())
        judge(batch_, *reply);
    else if (reply->is_transient_failure())
        for (Recipient* recipient : batch_)
            recipient->diagnosis = Diagnosis(*reply, 4, session_.remote());
    else
        session_.fail_unexpected("the reply to MAIL", *reply);
    co_return false;
}

// False: the session has failed.
Task<bool> Transaction::recipient(Recipient& recipient) {
    if (!pipelined_)
        session_.command(recipient_command(recipient));
    std::optional<Reply> reply = co_await session_.reply("the reply to RCPT", limits::client_rcpt);
    if (!reply)
        co_return false;
    if (reply->is_positive()) {
        accepted_.push_back(&recipient);
    } else if (means_too_many(*reply)) {
        recipient.diagnosis = Diagnosis(*reply, 4, session_.remote());
        overflow_.push_back(&recipient);
    } else if (reply->is_transient_failure() || reply->code == 552) {
        decide(recipient, Verdict::temporary, Diagnosis(*reply, 4, session_.remote()));
    } else if (reply->is_permanent_failure()) {
        decide(recipient, Verdict::permanent, Diagnosis(*reply, 5, session_.remote()));
    } else {
        session_.fail_unexpected("the reply to RCPT", *reply);
        co_return false;
    }
    co_return true;
}

Task<Transaction::Data> Transaction::data() {
    if (!pipelined_)
        session_.command("DATA\r\n");
    std::optional<Reply> reply =
        co_await session_.reply("the reply to DATA", limits::client_data_initiation);
    if (!reply)
        co_return Data::refused;
    if (reply->is_intermediate())
        co_return Data::go;
    if (reply->is_positive())
        session_.fail_unexpected("the reply to DATA", *reply);
    else
        judge(accepted_, *reply);
    co_return Data::refused;
}

// A pipelined DATA was answered 354 although nobody is to get the content: the dot at once
// (RFC 2920 3.1). RFC 2033 4.2 leaves open what an LMTP server would answer to it: enough of that.
Task<void> Transaction::finish_without_recipients() {
    session_.command(".\r\n");
    if (session_.lmtp())
        session_.fail(Diagnosis(status::other_protocol.as(4),
                                "the server wants content without recipients", session_.remote()));
    else
        co_await session_.reply("the reply to the end of the content",
                                limits::client_data_termination);
}

// MAIL, RCPT and DATA; with PIPELINING in one go. True: content is wanted, for accepted_.
Task<bool> Transaction::envelope() {
    session_.begin_stage();
    const size_t commands = batch_.size(); // mail() may add others to it
    if (pipelined_) {
        std::string group = session_.needs_reset() ? "RSET\r\n" : "";
        group += mail_command();
        for (const Recipient* recipient : batch_)
            group += recipient_command(*recipient);
        group += "DATA\r\n";
        session_.command(group);
    }
    bool mail_taken = co_await reset();
    if (mail_taken)
        mail_taken = co_await mail();
    if (session_.failed() || (!mail_taken && !pipelined_))
        co_return false;
    // After a refused MAIL all replies to RCPT say no more than that; they are read to stay in
    // step.
    for (size_t i = 0; i < commands; ++i) {
        if (mail_taken) {
            const bool in_step = co_await recipient(*batch_[i]);
            if (!in_step)
                co_return false;
            continue;
        }
        std::optional<Reply> ignored =
            co_await session_.reply("the reply to RCPT", limits::client_rcpt);
        if (!ignored)
            co_return false;
    }
    if (accepted_.empty() && !pipelined_)
        co_return false;
    const Data answer = co_await data();
    if (answer != Data::go)
        co_return false;
    if (!accepted_.empty())
        co_return true;
    co_await finish_without_recipients();
    co_return false;
}

// A server that has something to say before the end of the content: a refusal counts at once, and
// the end is not sent, so that the message cannot be taken as well. The session is over.
void Transaction::abandon_content() {
    std::optional<Reply> reply = session_.early_reply();
    if (reply && reply->code != 421 &&
        (reply->is_transient_failure() || reply->is_permanent_failure()))
        judge(accepted_, *reply);
    if (reply && !reply->is_positive())
        session_.fail(Diagnosis(*reply, 4, session_.remote()));
    else
        session_.fail(Diagnosis(status::other_protocol.as(4), "the server spoke out of turn",
                                session_.remote()));
}

// True: all of it has left, the final dot included.
Task<bool> Transaction::content() {
    ContentSource& content = message_.content;
    session_.begin_stage(limits::client_data_block +
                         std::chrono::seconds(content.size() / least_content_rate));
    content.rewind();
    DotStuffer stuffer;
    for (;;) {
        Result<std::string_view> piece = content.read();
        if (!piece) {
            // Ours to put right; the session ends without the dot.
            Diagnosis trouble(status::other_system.as(4), sanitize(piece.error().message));
            for (Recipient* recipient : accepted_)
                decide(*recipient, Verdict::temporary, trouble);
            session_.fail(trouble);
            co_return false;
        }
        const bool last = piece->empty();
        std::string encoded;
        stuffer.encode(*piece, encoded);
        if (last)
            stuffer.finish(encoded);
        bool sent = false;
        if (!session_.input_waiting())
            sent = co_await session_.content(encoded, last ? 0 : content_ahead);
        if (!sent) {
            if (session_.input_waiting())
                abandon_content();
            co_return false;
        }
        if (last)
            co_return true;
    }
}

void Transaction::lost_after_content(size_t first) {
    session_.note_lost_after_content();
    for (size_t i = first; i < accepted_.size(); ++i) {
        Diagnosis diagnosis = session_.failure();
        if (!diagnosis.from_remote)
            diagnosis.text += "; the message may have been taken, and may be sent twice";
        decide(*accepted_[i], Verdict::temporary, std::move(diagnosis));
    }
    // No other host now (see transaction.h): that goes for those who were to follow, too.
    for (std::vector<Recipient*>* others : {&overflow_, &waiting_})
        for (Recipient* recipient : *others)
            decide(*recipient, Verdict::temporary, session_.failure());
}

// One reply to the content, or with LMTP one for each recipient that was accepted (RFC 2033 4.2).
Task<void> Transaction::results() {
    session_.begin_stage();
    bool all_positive = true;
    const size_t replies = session_.lmtp() ? accepted_.size() : 1;
    for (size_t i = 0; i < replies; ++i) {
        std::optional<Reply> reply = co_await session_.reply("the reply to the end of the content",
                                                             limits::client_data_termination);
        if (reply && reply->is_intermediate())
            session_.fail_unexpected("the reply to the end of the content", *reply);
        if (session_.failed()) {
            lost_after_content(i);
            co_return;
        }
        if (session_.lmtp())
            judge(*accepted_[i], *reply);
        else
            judge(accepted_, *reply);
        all_positive = all_positive && reply->is_positive();
    }
    session_.transaction_done(!all_positive);
}

// Those for whom there was no room get a transaction of their own, as long as there is progress.
void Transaction::settle_overflow() {
    if (overflow_.empty() || session_.failed())
        return;
    if (accepted_.empty()) {
        for (Recipient* recipient : overflow_)
            recipient->verdict = Verdict::temporary;
        return;
    }
    batch_limit_ = accepted_.size();
    waiting_.insert(waiting_.begin(), overflow_.begin(), overflow_.end());
    begin_anywhere();
}

Task<void> Transaction::run() {
    // A co_await has a statement of its own: gcc 12 gets it wrong among && and ||.
    bool going = co_await envelope();
    if (going)
        going = co_await content();
    if (going)
        co_await results();
    if (session_.failed()) {
        leave_open(batch_);
        leave_open(waiting_);
    }
    settle_overflow();
}

} // namespace

Task<void> send_message(ClientSession& session, const Message& message,
                        std::vector<Recipient>& recipients, TimePoint until, const Random& random) {
    Transaction transaction(session, message, recipients, random);
    if (!transaction.acceptable())
        co_return;
    while (session.usable() && session.now() <= until && transaction.next_batch())
        co_await transaction.run();
}

} // namespace postern::relay
