#include "smtpd/lookup/dovecots.h"

#include "common/net/socket.h"
#include "common/smtp/sasl.h"

namespace postern {

namespace {

Task<DovecotClient::Connected> connect_to_dovecot(EventLoop& loop, std::string path) {
    Result<FileDescriptor> socket =
        co_await connect_to_unix(loop, std::move(path), std::chrono::seconds(10));
    if (!socket)
        co_return socket.error();
    std::unique_ptr<Stream> stream = std::make_unique<SocketStream>(loop, std::move(*socket));
    co_return stream;
}

} // namespace

void Dovecots::keep(const std::vector<std::string>& credentials) {
    std::map<std::string, std::shared_ptr<DovecotClient>> kept;
    for (const std::string& name : credentials) {
        const auto path = dovecot_socket(name);
        if (!path)
            continue;
        auto& client = kept[name] = clients_[name];
        if (!client)
            client = std::make_shared<DovecotClient>(
                loop_, *path, [this, path = *path] { return connect_to_dovecot(loop_, path); },
                announced_);
    }
    clients_ = std::move(kept);
}

std::shared_ptr<DovecotClient> Dovecots::find(const std::string& credentials) const {
    const auto found = clients_.find(credentials);
    return found == clients_.end() ? nullptr : found->second;
}

std::vector<ipc::DovecotMechanisms> Dovecots::mechanisms() const {
    std::vector<ipc::DovecotMechanisms> all;
    for (const auto& [name, client] : clients_) {
        if (client->mechanisms().empty())
            continue;
        ipc::DovecotMechanisms& news = all.emplace_back();
        news.credentials = name;
        news.mechanisms = client->mechanisms();
    }
    return all;
}

} // namespace postern
