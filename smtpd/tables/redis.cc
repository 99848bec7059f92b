// Tables in Redis or Valkey.
#include <hiredis/hiredis.h>

#include "smtpd/tables/backend.h"
#include "smtpd/tables/redis_command.h"

namespace postern::tables {

namespace {

struct Free {
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, Free>;

constexpr timeval to_timeval(std::chrono::seconds time) { return {time.count(), 0}; }

bool is_text(const redisReply& reply) {
    return reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS;
}

// An array is the columns of one row, or, where there may be several values, as many rows.
Result<std::vector<Row>> rows_of(const redisReply& reply, TableService service) {
    const bool many = service == TableService::alias || service == TableService::mailaddrmap;
    if (is_text(reply))
        return std::vector<Row>{{std::string(reply.str, reply.len)}};
    if (reply.type == REDIS_REPLY_INTEGER) // of SISMEMBER, EXISTS: whether it is there
        return reply.integer == 0 ? std::vector<Row>()
                                  : std::vector<Row>{{std::to_string(reply.integer)}};
    if (reply.type == REDIS_REPLY_NIL)
        return std::vector<Row>();
    if (reply.type != REDIS_REPLY_ARRAY)
        return Error{"the reply to the query is of no use here"};
    Rows rows;
    Row columns;
    for (size_t i = 0; i < reply.elements; ++i) {
        const redisReply& element = *reply.element[i];
        if (element.type == REDIS_REPLY_NIL) // of HMGET: there is no such field
            return std::vector<Row>();
        if (!is_text(element))
            return Error{"the reply to the query is of no use here"};
        if (!many)
            columns.emplace_back(element.str, element.len);
        else if (!rows.add({std::string(element.str, element.len)}))
            break;
    }
    if (!columns.empty())
        rows.add(std::move(columns));
    return rows.take();
}

class Redis final : public Backend {
  public:
    explicit Redis(const ExternalTable& table) : table_(table) {}

    Result<void> connect() override;
    bool connected() const override { return context_ != nullptr; }
    Result<std::vector<Row>> find(TableService service, const std::string& key) override;

  private:
    Result<Reply> ask(const std::vector<std::string>& words);
    Error lost();

    ExternalTable table_;
    std::unique_ptr<redisContext, Free> context_;
};

Result<void> Redis::connect() {
    const timeval limit = to_timeval(connect_limit);
    const bool is_socket = table_.location.starts_with("unix:");
    context_.reset(is_socket
                       ? redisConnectUnixWithTimeout(table_.location.c_str() + 5, limit)
                       : redisConnectWithTimeout(table_.location.c_str(), table_.port, limit));
    if (!context_ || context_->err)
        return lost();
    redisSetTimeout(context_.get(), to_timeval(answer_limit));
    std::vector<std::vector<std::string>> greetings;
    if (!table_.password.empty())
        greetings.push_back({"AUTH", table_.password});
    if (table_.database != 0)
        greetings.push_back({"SELECT", std::to_string(table_.database)});
    for (const std::vector<std::string>& words : greetings)
        if (Result<Reply> reply = ask(words); !reply) {
            context_.reset();
            return reply.error();
        }
    return {};
}

Error Redis::lost() {
    Error error{context_ ? context_->errstr : "out of memory"};
    context_.reset();
    return error;
}

Result<Reply> Redis::ask(const std::vector<std::string>& words) {
    std::vector<const char*> texts;
    std::vector<size_t> lengths;
    for (const std::string& word : words) {
        texts.push_back(word.data());
        lengths.push_back(word.size());
    }
    Reply reply(static_cast<redisReply*>(redisCommandArgv(
        context_.get(), static_cast<int>(texts.size()), texts.data(), lengths.data())));
    if (!reply)
        return lost(); // or its answer came too late: the next one would be this one's
    if (reply->type == REDIS_REPLY_ERROR) {
        const std::string_view text(reply->str, reply->len);
        Error error{"the server says " + std::string(text)};
        // It is there, but has not loaded its data yet, or is no master any more.
        if (text.starts_with("LOADING") || text.starts_with("MASTERDOWN") ||
            text.starts_with("NOAUTH"))
            context_.reset();
        return error;
    }
    return reply;
}

Result<std::vector<Row>> Redis::find(TableService service, const std::string& key) {
    const auto query = table_.queries.find(service);
    if (query == table_.queries.end())
        return Error{"there is no query for this kind of key"};
    const Result<Reply> reply = ask(redis_words(query->second.text, key));
    if (!reply.ok())
        return reply.error();
    return rows_of(*reply.value(), service);
}

} // namespace

std::unique_ptr<Backend> make_redis(const ExternalTable& table) {
    return std::make_unique<Redis>(table);
}

} // namespace postern::tables
