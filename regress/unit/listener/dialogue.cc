#include "regress/unit/listener/dialogue.h"

#include <cstdlib>
#include <set>
#include <sstream>

namespace postern::listener::test {

namespace {

int hex_digit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

bool matches(std::string_view pattern, std::string_view line) {
    const size_t star = pattern.find('*');
    if (star == std::string_view::npos)
        return pattern == line;
    const std::string_view head = pattern.substr(0, star);
    if (!line.starts_with(head))
        return false;
    line.remove_prefix(head.size());
    pattern.remove_prefix(star + 1);
    for (size_t skipped = 0; skipped <= line.size(); ++skipped)
        if (matches(pattern, line.substr(skipped)))
            return true;
    return false;
}

Duration parse_duration(std::string_view text) {
    const int64_t number = std::atoll(std::string(text).c_str());
    switch (text.back()) {
    case 's':
        return std::chrono::seconds(number);
    case 'm':
        return std::chrono::minutes(number);
    case 'h':
        return std::chrono::hours(number);
    }
    ADD_FAILURE() << "not a duration: " << text;
    return Duration(0);
}

} // namespace

std::string unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        switch (text[++i]) {
        case 'r':
            out += '\r';
            break;
        case 'n':
            out += '\n';
            break;
        case '0':
            out += '\0';
            break;
        case 'x':
            out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
            break;
        default:
            out += text[i];
        }
    }
    return out;
}

Dialogue::Dialogue() {
    ipc::ListenAddress address;
    address.endpoint = Endpoint{*IpAddress::parse("192.0.2.1"), 25};
    address.hostname = "mx.test.example";
    address.tag = "edge";
    settings->addresses.push_back(address);
    settings->max_message_size = 1'000'000;
    settings->max_recipients = 100;
    settings->max_mails = 50;
    settings->max_sessions = 10;
    settings->max_errors = 5;
    settings->max_received_hops = 3;
}

Dialogue::~Dialogue() { session.reset(); } // before what it uses

void Dialogue::connect() {
    session.reset();
    is_over = false;
    unread_.clear();
    auto [ours, theirs] = MemoryStream::make_pair(time);
    client = std::move(ours);
    clients_.configure(settings->clients, settings->max_sessions);
    Connection connection;
    connection.id = 0x5e55;
    connection.client = client_address;
    connection.settings = settings;
    connection.spoke_early = spoke_early;
    if (encryption)
        connection.encryption = std::make_unique<FakeEncryption>(*theirs, *encryption);
    session = std::make_unique<Session>(services_, static_cast<SessionOwner&>(*this),
                                        std::move(connection), std::move(theirs));
    session->start();
    time.run();
}

void Dialogue::send(std::string_view bytes) {
    // In pieces, as they come over a network, so that no buffer has to hold all of it.
    while (!bytes.empty()) {
        client->write(bytes.substr(0, 32 * 1024));
        bytes.remove_prefix(std::min<size_t>(bytes.size(), 32 * 1024));
        time.run();
    }
}

std::string Dialogue::receive() {
    time.run();
    if (client)
        unread_ += client->take();
    return std::exchange(unread_, {});
}

void Dialogue::play(std::string_view script) {
    if (!session)
        connect();
    int number = 0;
    while (!script.empty()) {
        std::string_view line = script.substr(0, script.find('\n'));
        script.remove_prefix(std::min(script.size(), line.size() + 1));
        ++number;
        line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
        if (!line.empty())
            step(line, number);
    }
    flush();
    expect_silence("the end of the script");
}

void Dialogue::step(std::string_view line, int number) {
    const std::string where = "line " + std::to_string(number) + ": " + std::string(line);
    if (line.starts_with("C: ") || line == "C:") {
        unsent_ += line.substr(std::min<size_t>(3, line.size()));
        unsent_ += "\r\n";
        return;
    }
    if (line.starts_with("C= ")) {
        unsent_ += unescape(line.substr(3));
        return;
    }
    flush();
    if (line.starts_with("S: ")) {
        expect_line(line.substr(3), where);
    } else if (line.starts_with("offers")) {
        expect_offer(line.substr(6), where);
    } else if (line.starts_with("pass ")) {
        time.advance(parse_duration(line.substr(5)));
    } else if (line == "silence") {
        expect_silence(where);
    } else if (line == "close") {
        client.reset();
        time.run();
    } else if (line == "half-close") {
        client->end_output();
        time.run();
    } else if (line == "closed") {
        // It lingers a moment for us to read its last words.
        time.advance(patience::linger);
        expect_silence(where);
        EXPECT_TRUE(is_over) << where;
        session.reset();
        time.run();
        EXPECT_TRUE(!client || client->peer_gone()) << where;
    } else if (line == "open") {
        EXPECT_FALSE(is_over) << where;
    } else {
        ADD_FAILURE() << "not a step: " << where;
    }
}

void Dialogue::flush() {
    if (!unsent_.empty())
        send(std::exchange(unsent_, {}));
    time.run();
    if (client)
        unread_ += client->take();
}

void Dialogue::expect_line(std::string_view pattern, const std::string& where) {
    const size_t end = unread_.find("\r\n");
    if (end == std::string::npos) {
        ADD_FAILURE() << where << "\n  but the server said nothing (more): \"" << unread_ << '"';
        return;
    }
    const std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 2);
    EXPECT_TRUE(matches(pattern, line)) << where << "\n  but the server said: " << line;
}

void Dialogue::expect_offer(std::string_view keywords, const std::string& where) {
    std::set<std::string> offered;
    for (bool last = false; !last;) {
        const size_t end = unread_.find("\r\n");
        if (end == std::string::npos || !unread_.starts_with("250")) {
            ADD_FAILURE() << where << "\n  but the server said: \"" << unread_ << '"';
            return;
        }
        last = unread_[3] == ' ';
        offered.insert(unread_.substr(4, unread_.find_first_of(" \r", 4) - 4));
        unread_.erase(0, end + 2);
    }
    std::istringstream words{std::string(keywords)};
    for (std::string word; words >> word;) {
        const bool wanted = word[0] != '!';
        EXPECT_EQ(offered.count(word.substr(wanted ? 0 : 1)), wanted ? 1u : 0u)
            << where << ": " << word;
    }
}

void Dialogue::expect_silence(const std::string& where) {
    if (client)
        unread_ += client->take();
    EXPECT_EQ(unread_, "") << where;
    unread_.clear();
}

void Dialogue::greet() {
    play(R"(
        S: 220 mx.test.example ESMTP Postern
        C: EHLO client.example
        offers PIPELINING
    )");
}

void Dialogue::begin_mail(const char* recipient) {
    greet();
    const std::string script = "C: MAIL FROM:<sender@client.example>\n"
                               "S: 250 2.1.0 Sender ok\n"
                               "C: RCPT TO:<" +
                               std::string(recipient) +
                               ">\n"
                               "S: 250 2.1.5 Recipient ok\n";
    play(script);
}

void Dialogue::send_mail() {
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: RCPT TO:<user@dest.example>
        S: 250 *
        C: DATA
        S: 354 *
        C: .
        S: 250 *
    )");
}

} // namespace postern::listener::test
