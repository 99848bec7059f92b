// Whom a session asks, played by the test: they answer as told, late, or never.
#pragma once

#include <map>
#include <set>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/net/stream.h"
#include "common/sasl/scram_exchange.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener::test {

// A file in memory that stays readable after the session has let go of it.
class FakeFile final : public ContentFile {
  public:
    FakeFile(FileDescriptor file, int& given_back) : file_(std::move(file)), back_(given_back) {}
    ~FakeFile() override { back_ += submitted_ ? 0 : 1; }
    int fd() const override { return file_.get(); }
    void submitted() { submitted_ = true; }
    std::string content() const;

  private:
    FileDescriptor file_;
    int& back_;
    bool submitted_ = false;
};

class FakeQueue final : public Submission {
  public:
    explicit FakeQueue(Executor& executor) : executor_(executor) {}

    // What it will do.
    std::optional<ipc::Refused> refusal;
    std::optional<ipc::Refused> file_refusal;
    bool gone = false; // no answer at once
    bool files_gone = false;
    bool silent = false;    // no answer within any limit
    bool disk_full = false; // writing to its files fails
    Duration delay{0};
    std::map<std::string, uint32_t> waiting; // messages, by the domain that may ask for them
    bool woken_lately = false;

    // What it got.
    struct Message {
        ipc::Submit submit;
        std::string content; // wherever it travelled
        bool in_file = false;
    };
    std::vector<Message> messages;
    int files_opened = 0;
    int files_given_back = 0;
    IpAddress file_client; // that the last one was asked for
    std::vector<ipc::Wake> wakes;

    Task<OpenedFile> open_content_file(IpAddress client, Duration limit) override;
    Task<std::optional<Answer>> submit(ipc::Submit message, std::unique_ptr<ContentFile> file,
                                       Duration limit) override;
    Task<std::optional<ipc::Woken>> wake(ipc::Wake question, Duration limit) override;

  private:
    Executor& executor_;
};

class FakeLookup final : public Routing {
  public:
    explicit FakeLookup(Executor& executor) : executor_(executor) {}

    std::map<std::string, ipc::RouteVerdict> verdicts; // of addresses; others are accepted
    std::set<std::string> mailboxes; // of those accepted: the ones here; others are relayed
    std::map<std::string, Duration> delays;
    Duration delay{0}; // of the others
    bool silent = false;

    std::vector<ipc::RouteQuery> queries;
    int most_at_once = 0;

    Task<ipc::RouteAnswer> route(ipc::RouteQuery query, Duration limit) override;

  private:
    Executor& executor_;
    int now_ = 0;
};

class FakeAccounts final : public Accounts {
  public:
    explicit FakeAccounts(Executor& executor) : executor_(executor) {}

    std::map<std::string, std::string> passwords;         // by user, in lower case
    std::map<std::string, std::set<std::string>> senders; // reverse-paths
    std::map<std::string, std::string> scram_secrets;     // by user, in lower case
    std::string nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"; // for SCRAM
    bool away = false;
    bool silent = false; // no answer within any limit
    Duration check{0};   // what the password of somebody who exists takes
    std::optional<std::vector<SaslMechanism>> dovecot; // what it has announced
    bool forgetful = false;                            // knows no exchange that has begun

    struct Asked {
        std::string table, user, password;
    };
    std::vector<Asked> asked;
    std::vector<ipc::SenderQuery> sender_queries;
    std::vector<std::string> started;            // "table mechanism client"
    std::map<uint64_t, ScramExchange> exchanges; // that are open
    int cancelled = 0;

    Task<ipc::AuthenticateAnswer> authenticate(ipc::Authenticate question, Duration limit) override;
    Task<ipc::SaslAnswer> start(ipc::SaslStart start, Duration limit) override;
    Task<ipc::SaslAnswer> respond(ipc::SaslResponse response, Duration limit) override;
    void cancel(uint64_t exchange) override;
    std::optional<std::vector<SaslMechanism>>
    announced(const std::string& credentials) const override;
    Task<ipc::SenderVerdict> check_sender(ipc::SenderQuery query, Duration limit) override;

  private:
    Task<ipc::SaslAnswer> step(uint64_t exchange, Secret message, Duration limit);

    Executor& executor_;
};

class FakeResolver final : public Resolver {
  public:
    explicit FakeResolver(Executor& executor) : executor_(executor) {}

    std::map<IpAddress, std::vector<std::string>> pointers;
    std::multimap<std::string, IpAddress> addresses;
    Duration delay{0};
    int questions = 0;

    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query, Duration limit) override;

  private:
    Executor& executor_;
};

// Encrypts nothing, but takes its time over it.
class FakeEncryption final : public Encryption {
  public:
    struct Behaviour {
        bool available = true;
        std::string failure; // empty: it succeeds
        Duration delay{0};
        ChannelBindings bindings;
    };
    FakeEncryption(Stream& stream, const Behaviour& behaviour)
        : stream_(stream), behaviour_(behaviour) {}

    bool available() const override { return behaviour_.available; }
    Task<Result<TlsFacts>> begin(std::string go_ahead, Duration limit) override;

  private:
    Stream& stream_;
    const Behaviour& behaviour_;
};

ipc::Refused refused(uint16_t code, const char* enhanced, const char* text);

} // namespace postern::listener::test
