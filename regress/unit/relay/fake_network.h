// A network of scripted next hops and a DNS that is a table, in simulated time.
#pragma once

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "deliver/relay/network.h"
#include "regress/unit/relay/next_hop.h"

namespace postern::test {

class FakeNetwork final : public relay::Network {
  public:
    explicit FakeNetwork(SimulatedTime& time) : time_(time) {}

    // The next connection to "192.0.2.1:25" (or a Unix path) meets this script, and takes `after`.
    void serve(const std::string& where, const std::string& script, Duration after = Duration(0)) {
        scripts_[where].push_back(std::make_unique<NextHop>(time_, script));
        connecting_[scripts_[where].back().get()] = after;
    }
    // Connecting takes `after` and then fails with this errno. Elsewhere: refused at once.
    void fail(const std::string& where, int error, Duration after = Duration(0)) {
        failures_[where] = {error, after};
    }
    void mx(const std::string& name, uint16_t preference, const std::string& host) {
        ipc::ResolveAnswer& answer = answers_[{ipc::RecordType::mx, name}];
        answer.status = ipc::ResolveStatus::ok;
        ipc::DnsRecord record;
        record.preference = preference;
        record.name = host;
        answer.records.push_back(record);
    }
    void address(const std::string& name, const std::string& text) {
        IpAddress address = IpAddress::parse(text).value();
        ipc::RecordType type = address.version == 4 ? ipc::RecordType::a : ipc::RecordType::aaaa;
        ipc::ResolveAnswer& answer = answers_[{type, name}];
        answer.status = ipc::ResolveStatus::ok;
        ipc::DnsRecord record;
        record.address = address;
        answer.records.push_back(record);
    }
    void tlsa(const std::string& name, const std::string& data, bool secure) {
        ipc::ResolveAnswer& answer = answers_[{ipc::RecordType::tlsa, name}];
        answer.status = ipc::ResolveStatus::ok;
        answer.secure = secure;
        answer.records.emplace_back().data = data;
    }
    // DNSSEC vouches for what was given before.
    void secure(ipc::RecordType type, const std::string& name) {
        answers_[{type, name}].secure = true;
    }
    void answer(ipc::RecordType type, const std::string& name, ipc::ResolveStatus status) {
        answers_[{type, name}].status = status;
    }
    // The domain's MTA-STS policy; nothing: it cannot be found out. Others have none.
    void sts(const std::string& domain, std::optional<ipc::StsPolicy> policy) {
        policies_[domain] = std::move(policy);
    }
    // How the next handshake at "192.0.2.1:25" ends: with this error; empty: well, as do all that
    // nothing is said of.
    void handshake(const std::string& where, const std::string& error, int code = 0) {
        handshakes_[where].push_back({error, code});
    }
    // From now on no demand can be met, for this reason; empty: they can.
    void impossible(const std::string& reason) { impossible_ = reason; }
    // The same of demands of proof by a certificate.
    void impossible_to_verify(const std::string& reason) { impossible_to_verify_ = reason; }
    // "table/label" is the user with the password.
    void password(const std::string& place, const std::string& user, const std::string& password) {
        passwords_[place] = {user, password};
    }
    // Looking one up takes so long.
    void delay_passwords(Duration by) { password_delay_ = by; }
    // Of all connections; empty: they have none.
    void exporter(const std::string& value) { exporter_ = value; }
    // What was demanded in handshakes: "192.0.2.1:25 a.example certificate(a.example); ".
    std::string demands() const { return demands_; }
    void delay(ipc::RecordType type, const std::string& name, Duration by) {
        delays_[{type, name}] = by;
    }

    // Where connections were tried, in order: "192.0.2.1:25 192.0.2.2:25".
    std::string tried() const { return tried_; }
    std::string sources() const { return sources_; }
    size_t questions() const { return questions_; }
    // What did not go as the scripts have it.
    std::string errors() const {
        std::string result;
        for (const auto& [where, scripts] : all_)
            for (const NextHop* hop : scripts)
                if (std::string errors = hop->errors(); !errors.empty())
                    result += where + ": " + errors;
        for (const auto& [where, scripts] : scripts_)
            if (!scripts.empty())
                result += where + ": " + std::to_string(scripts.size()) + " scripts unused\n";
        return result;
    }

    Executor& executor() override { return time_; }
    Task<Connected> connect(Endpoint peer, std::optional<IpAddress> source,
                            Duration limit) override {
        if (source)
            sources_ += source->to_string() + " ";
        return open(peer.to_string(), limit);
    }
    Task<Connected> connect_unix(std::string path) override { return open(path, connect_limit); }
    IpAddress own_address(Stream&) override { return *IpAddress::parse("198.51.100.7"); }
    Result<std::unique_ptr<relay::Encryption>> prepare(const TlsDemand& demand) override {
        if (!impossible_.empty())
            return Error{impossible_};
        if (!impossible_to_verify_.empty() && demand.proof == TlsProof::certificate)
            return Error{impossible_to_verify_};
        return std::unique_ptr<relay::Encryption>(std::make_unique<Handshake>(*this, demand));
    }
    Task<Result<SaslCredentials>> credentials(std::string table, std::string label) override {
        if (password_delay_ > Duration(0))
            co_await time_.sleep(password_delay_);
        const auto found = passwords_.find(table + "/" + label);
        if (found == passwords_.end())
            co_return Error{"there is no password for " + label};
        SaslCredentials credentials;
        credentials.user = found->second.first;
        credentials.password = Secret(found->second.second);
        co_return credentials;
    }
    Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) override {
        ++questions_;
        auto delay = delays_.find({type, name});
        if (delay != delays_.end())
            co_await time_.sleep(delay->second);
        auto found = answers_.find({type, name});
        if (found != answers_.end())
            co_return found->second;
        ipc::ResolveAnswer nothing;
        nothing.status = ipc::ResolveStatus::no_data;
        co_return nothing;
    }
    Task<ipc::PolicyAnswer> find_policy(std::string domain) override {
        ++policy_questions_;
        ipc::PolicyAnswer answer;
        answer.known = !policies_.contains(domain) || policies_.at(domain).has_value();
        if (answer.known && policies_.contains(domain))
            answer.policy = *policies_.at(domain);
        co_return answer;
    }
    unsigned policy_questions() const { return policy_questions_; }
    void report(ipc::SessionResult result) override { reports_.push_back(std::move(result)); }
    const std::vector<ipc::SessionResult>& told() const { return reports_; }
    // What domains are to be told: "d.example sts a.example 0; ", the last is ipc::TlsResult.
    std::string reports() const {
        static constexpr const char* types[] = {"none", "sts", "tlsa"};
        std::string text;
        for (const ipc::SessionResult& one : reports_)
            text += one.domain + " " + types[static_cast<size_t>(one.type)] + " " + one.exchanger +
                    " " + std::to_string(static_cast<int>(one.result)) + "; ";
        return text;
    }

  private:
    struct Handshake final : relay::Encryption {
        Handshake(FakeNetwork& network, TlsDemand demand)
            : network(network), demand(std::move(demand)) {}
        Task<Result<TlsFacts>> begin(Stream& stream, Duration) override {
            static constexpr const char* proofs[] = {"none", "certificate", "dane"};
            network.demands_ += demand.peer + " " + demand.server_name + " " +
                                proofs[static_cast<size_t>(demand.proof)];
            for (const std::string& name : demand.names)
                network.demands_ += "(" + name + ")";
            network.demands_ += "; ";
            Error error{stream.input().empty() ? "" : "there was input"};
            if (auto& errors = network.handshakes_[demand.peer]; !errors.empty()) {
                error = errors.front();
                errors.pop_front();
            }
            if (!error.message.empty())
                co_return error;
            TlsFacts facts;
            facts.protocol = "TLSv1.3";
            facts.cipher = "TLS_X";
            facts.proof = demand.proof;
            facts.bindings.tls_exporter = network.exporter_;
            co_return facts;
        }
        FakeNetwork& network;
        TlsDemand demand;
    };

    Task<Connected> open(std::string where, Duration limit) {
        tried_ += (tried_.empty() ? "" : " ") + where;
        auto& scripts = scripts_[where];
        if (!scripts.empty() && connecting_[scripts.front().get()] > limit) {
            co_await time_.sleep(limit);
            co_return system_error("connect", ETIMEDOUT);
        }
        if (!scripts.empty()) {
            served_.push_back(std::move(scripts.front()));
            scripts.pop_front();
            NextHop* hop = served_.back().get();
            all_[where].push_back(hop);
            if (connecting_[hop] > Duration(0))
                co_await time_.sleep(connecting_[hop]);
            co_return hop->connect();
        }
        auto failure = failures_.find(where);
        const int error = failure == failures_.end() ? ECONNREFUSED : failure->second.first;
        if (failure != failures_.end() && failure->second.second > Duration(0))
            co_await time_.sleep(std::min(failure->second.second, limit));
        co_return system_error("connect", error);
    }

    using Question = std::pair<ipc::RecordType, std::string>;
    SimulatedTime& time_;
    std::map<std::string, std::deque<std::unique_ptr<NextHop>>> scripts_;
    std::vector<std::unique_ptr<NextHop>> served_;
    std::map<std::string, std::vector<NextHop*>> all_;
    std::map<NextHop*, Duration> connecting_;
    std::map<std::string, std::pair<int, Duration>> failures_;
    std::map<Question, ipc::ResolveAnswer> answers_;
    std::map<Question, Duration> delays_;
    std::map<std::string, std::optional<ipc::StsPolicy>> policies_;
    unsigned policy_questions_ = 0;
    std::map<std::string, std::deque<Error>> handshakes_;
    std::string impossible_;
    std::string impossible_to_verify_;
    std::map<std::string, std::pair<std::string, std::string>> passwords_;
    Duration password_delay_{};
    std::vector<ipc::SessionResult> reports_;
    std::string demands_;
    std::string exporter_;
    std::string tried_;
    std::string sources_;
    size_t questions_ = 0;
};

} // namespace postern::test
