// Tables behind a server that speaks the socketmap protocol.
#include "smtpd/tables/backend.h"
#include "smtpd/tables/blocking_socket.h"
#include "smtpd/tables/socketmap_protocol.h"

namespace postern::tables {

namespace {

class Socketmap final : public Backend {
  public:
    explicit Socketmap(const ExternalTable& table) : table_(table) {}

    Result<void> connect() override {
        socket_.reset();
        Result<FileDescriptor> connected = connect_blocking(
            table_.location, table_.port, std::chrono::steady_clock::now() + connect_limit);
        if (!connected)
            return connected.error();
        socket_ = std::move(*connected);
        return {};
    }
    bool connected() const override { return static_cast<bool>(socket_); }
    Result<std::vector<Row>> find(TableService service, const std::string& key) override;

  private:
    Result<std::string> ask(const std::string& question);

    ExternalTable table_;
    FileDescriptor socket_;
};

Result<std::string> Socketmap::ask(const std::string& question) {
    const Deadline deadline = std::chrono::steady_clock::now() + answer_limit;
    if (Result<void> sent = write_all(socket_, encode_netstring(question), deadline); !sent)
        return sent.error();
    std::string bytes;
    for (;;) {
        if (Result<void> read = read_some(socket_, bytes, deadline); !read)
            return read.error();
        Result<std::optional<std::string>> content = decode_netstring(bytes);
        if (!content)
            return content.error();
        if (*content)
            return **std::move(content);
    }
}

Result<std::vector<Row>> Socketmap::find(TableService, const std::string& key) {
    const Result<std::string> content = ask(table_.map + " " + key);
    if (!content) {
        socket_.reset(); // whatever comes later is no answer to the next question
        return content.error();
    }
    Result<SocketmapReply> reply = parse_socketmap_reply(*content);
    if (!reply)
        return reply.error();
    if (!reply->found)
        return std::vector<Row>();
    return std::vector<Row>{{std::move(reply->value)}};
}

} // namespace

std::unique_ptr<Backend> make_socketmap(const ExternalTable& table) {
    return std::make_unique<Socketmap>(table);
}

} // namespace postern::tables
