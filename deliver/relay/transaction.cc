// See transaction.h.
#include "deliver/relay/transaction.h"

#include "common/smtp/limits.h"
#include "deliver/relay/batches.h"
#include "deliver/relay/content_transfer.h"
#include "deliver/relay/parameters.h"

namespace postern::relay {

namespace {

// "Too many recipients" (RFC 5321 4.5.3.1.10), and not a full mailbox or disk.
bool means_too_many(const Reply& reply) {
    return (reply.code == 452 || reply.code == 552) &&
           (!reply.status.present() || (reply.status.subject == 5 && reply.status.detail == 3));
}

class Transaction {
  public:
    Transaction(ClientSession& session, const Message& message, std::vector<Recipient>& recipients,
                const Random& random);

    // False: there are no recipients left for another one.
    bool begin();
    Task<void> run();

  private:
    enum class Data { refused, go };

    std::string mail_command() const;
    std::string recipient_command(const Recipient& recipient) const;

    Task<bool> reset();
    Task<bool> mail();
    Task<bool> recipient(Recipient& recipient);
    Task<Data> data();
    Task<void> finish_without_recipients();
    Task<bool> envelope();
    Task<bool> content();
    Task<void> results();

    // A verdict from a reply that is not intermediate.
    bool wants_tls(const Reply& reply) const;
    void judge(Recipient& recipient, const Reply& reply);
    void judge(const std::vector<Recipient*>& recipients, const Reply& reply);
    void leave_open(const std::vector<Recipient*>& recipients);
    void lost_after_content(size_t first);

    ClientSession& session_;
    const Message& message_;
    const Abilities next_hop_;
    const bool pipelined_;
    const bool chunked_; // the content goes by BDAT
    Batches batches_;
    std::vector<Recipient*> accepted_; // of the present one: RCPT was answered 2yz
};

Transaction::Transaction(ClientSession& session, const Message& message,
                         std::vector<Recipient>& recipients, const Random& random)
    : session_(session), message_(message), next_hop_{session.capabilities(), session.lmtp()},
      pipelined_(session.capabilities().pipelining),
      chunked_(message.parameters.body == Body::binary_mime),
      batches_(session, message, recipients, random) {}

bool Transaction::begin() {
    accepted_.clear();
    return batches_.next();
}

std::string Transaction::mail_command() const {
    return "MAIL FROM:<" + message_.reverse_path + ">" +
           mail_parameters(message_, next_hop_, batches_.utf8(), session_.now()) + "\r\n";
}

std::string Transaction::recipient_command(const Recipient& recipient) const {
    return "RCPT TO:<" + recipient.address + ">" +
           recipient_parameters(recipient, next_hop_, batches_.utf8()) + "\r\n";
}

void Transaction::judge(Recipient& recipient, const Reply& reply) {
    const Verdict verdict = reply.is_positive()            ? Verdict::delivered
                            : reply.is_permanent_failure() ? Verdict::permanent
                                                           : Verdict::temporary;
    decide(recipient, verdict, Diagnosis(reply, reply.code / 100, session_.remote()));
    recipient.handover = handover_to(next_hop_);
    recipient.deliver_by = next_hop_.offered.deliver_by;
}

void Transaction::judge(const std::vector<Recipient*>& recipients, const Reply& reply) {
    for (Recipient* recipient : recipients)
        judge(*recipient, reply);
}

// The session has failed before these got a verdict.
void Transaction::leave_open(const std::vector<Recipient*>& recipients) {
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

// RFC 3207 4: it takes no mail in plain. That it gets some is for this hour, since TLS has failed
// with it, or for the configuration: none of it concerns the mail.
bool Transaction::wants_tls(const Reply& reply) const {
    return reply.code == 530 && !session_.tls() && session_.capabilities().starttls;
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
    batches_.take_all();
    if (reply->is_permanent_failure() && !wants_tls(*reply))
        judge(batches_.present(), *reply);
    else if (reply->is_permanent_failure() || reply->is_transient_failure())
        for (Recipient* recipient : batches_.present())
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
        batches_.put_off(recipient);
    } else if (reply->is_transient_failure() || reply->code == 552 || wants_tls(*reply)) {
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

// MAIL, RCPT and, unless it goes by BDAT, DATA; with PIPELINING in one go. True: the content can be
// sent, for accepted_.
Task<bool> Transaction::envelope() {
    session_.begin_stage();
    const size_t commands = batches_.present().size(); // mail() may add others to them
    if (pipelined_) {
        std::string group = session_.needs_reset() ? "RSET\r\n" : "";
        group += mail_command();
        for (const Recipient* recipient : batches_.present())
            group += recipient_command(*recipient);
        if (!chunked_)
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
            const bool in_step = co_await recipient(*batches_.present()[i]);
            if (!in_step)
                co_return false;
            continue;
        }
        std::optional<Reply> ignored =
            co_await session_.reply("the reply to RCPT", limits::client_rcpt);
        if (!ignored)
            co_return false;
    }
    if (accepted_.empty() && (chunked_ || !pipelined_))
        co_return false;
    if (chunked_)
        co_return true;
    const Data answer = co_await data();
    if (answer != Data::go)
        co_return false;
    if (!accepted_.empty())
        co_return true;
    co_await finish_without_recipients();
    co_return false;
}

// True: all of it has left.
Task<bool> Transaction::content() {
    ContentTransfer transfer;
    if (chunked_)
        transfer = co_await send_chunks(session_, message_.content);
    else
        transfer = co_await send_data(session_, message_.content);
    if (transfer.refusal)
        judge(accepted_, *transfer.refusal);
    if (transfer.trouble)
        for (Recipient* recipient : accepted_)
            decide(*recipient, Verdict::temporary, *transfer.trouble);
    co_return transfer.complete;
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
    for (Recipient* recipient : batches_.later())
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

Task<void> Transaction::run() {
    // A co_await has a statement of its own: gcc 12 gets it wrong among && and ||.
    bool going = co_await envelope();
    if (going)
        going = co_await content();
    if (going)
        co_await results();
    if (session_.failed()) {
        leave_open(batches_.present());
        leave_open(batches_.later());
    } else {
        batches_.settle_put_off(accepted_.size());
    }
}

} // namespace

Task<void> send_message(ClientSession& session, const Message& message,
                        std::vector<Recipient>& recipients, TimePoint until, const Random& random) {
    Transaction transaction(session, message, recipients, random);
    while (session.usable() && session.now() <= until && transaction.begin())
        co_await transaction.run();
}

} // namespace postern::relay
