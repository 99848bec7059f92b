// What the queue does alone, through its own channels, with everybody else played by this program:
//
//   commit     how fast mail is made durable, beside what the same disk does with a new file,
//              fsync, rename and fsync of the directory for each message
//   million    a queue full of mail for a dead destination: its memory, how fast mail for a live
//   one
//              passes, what a look at the queue costs others, and how it starts again
//
//   queue_bench [--place DIR] [--seconds N] [--messages N] [commit] [million]
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <unistd.h>

#include "regress/support/queue_process.h"

namespace postern::test {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t submitters = 64; // at once

double since(SteadyClock::time_point start) {
    return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double percentile(std::vector<double> values, double part) {
    if (values.empty())
        return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1))];
}

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "queue_bench: %s\n", what.c_str());
    std::exit(1);
}

// -- What a message in a file of its own costs.

void write_file(int directory, size_t number, const std::string& content) {
    const std::string name = "m" + std::to_string(number), temporary = "t" + std::to_string(number);
    const int file = openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
    const bool good = file >= 0 &&
                      write(file, content.data(), content.size()) == ssize_t(content.size()) &&
                      fsync(file) == 0 && close(file) == 0 &&
                      renameat(directory, temporary.c_str(), directory, name.c_str()) == 0 &&
                      fsync(directory) == 0;
    if (!good)
        fail(std::string("writing a file: ") + std::strerror(errno));
}

double files_per_second(const std::string& place, double seconds, const std::string& content) {
    std::string pattern = place + "/files.XXXXXX";
    const std::string path = mkdtemp(pattern.data());
    const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY);
    const auto start = SteadyClock::now();
    size_t count = 0;
    while (since(start) < seconds)
        write_file(directory, count++, content);
    const double rate = static_cast<double>(count) / since(start);
    close(directory);
    std::filesystem::remove_all(path);
    return rate;
}

// -- The queue.

class Bench : public QueueProcess {
  public:
    explicit Bench(const std::string& place) : QueueProcess(BENCH_QUEUE, place) {
        settings.max_per_destination = 20;
        settings.ttl = 96h;
        settings.retry_max = 4h;
        on_answer = [this](ipc::QueueToListener&& answer) { answered(answer); };
        destination = [](const ipc::RouteQuery& query) {
            return query.recipient.substr(query.recipient.find('@') + 1);
        };
        on_delivery = [this](ipc::Deliver&& deliver) {
            const bool dead = deliver.route.domain == "dead.example";
            delivered_ += !dead;
            answer(deliver,
                   dead ? ipc::RecipientStatus::temporary : ipc::RecipientStatus::delivered, dead);
        };
    }

    void begin() {
        if (!start())
            fail("the queue does not start");
    }

    // Keeps `open` submissions open until `count` are answered or the time is over. How many were.
    size_t push(size_t count, double seconds, const std::string& recipient,
                const std::string& content, size_t open = submitters) {
        recipient_ = recipient;
        content_ = content;
        to_submit_ = count;
        const size_t before = durable_;
        const auto begun = SteadyClock::now();
        for (size_t i = 0; i < open; ++i)
            submit_next();
        until([&] { return open_.empty() || since(begun) >= seconds; }, 24h);
        to_submit_ = 0;
        until([&] { return open_.empty(); }, 60s);
        return durable_ - before;
    }

    // One submission every `pause`, for so long; the latencies in milliseconds.
    std::vector<double> probe(double seconds, Duration pause, const std::string& recipient) {
        latencies_.clear();
        recipient_ = recipient;
        content_ = "Subject: probe\r\n\r\nhello\r\n";
        const auto begun = SteadyClock::now();
        for (auto next = begun; since(begun) < seconds; next += pause) {
            to_submit_ = 1;
            submit_next();
            until([&] { return SteadyClock::now() >= next && open_.empty(); }, 60s);
        }
        return latencies_;
    }

    uint64_t statistic(const std::string& name) {
        reports.clear();
        control->send(ipc::StatsQuery{});
        if (!until([&] { return !reports.empty(); }, 60s))
            fail("no answer to a question for statistics");
        for (const ipc::Counter& counter : std::get<ipc::Stats>(reports[0]).counters)
            if (counter.name == name)
                return counter.value;
        return 0;
    }

    // The next page of the queue. True: it was the last one.
    bool next_page(ipc::QueueQuery& query, size_t& entries) {
        reports.clear();
        control->send(query);
        if (!until([&] { return !reports.empty(); }, 60s))
            fail("no page of the queue");
        const auto& page = std::get<ipc::QueuePage>(reports[0]);
        entries += page.entries.size();
        query.after_message = page.after_message;
        query.after_index = page.after_index;
        return page.last;
    }

    size_t memory() const { // bytes of its own
        std::ifstream status("/proc/" + std::to_string(pid()) + "/status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with("RssAnon:"))
                return std::stoul(line.substr(8)) * 1024;
        return 0;
    }
    double cpu_seconds() const {
        std::ifstream file("/proc/" + std::to_string(pid()) + "/stat");
        std::string text((std::istreambuf_iterator<char>(file)), {});
        text.erase(0, text.rfind(')') + 2);
        long user = 0, system = 0;
        std::sscanf(text.c_str(), "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %ld", &user,
                    &system);
        return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    size_t delivered() const { return delivered_; }

  private:
    void submit_next() {
        if (to_submit_ == 0)
            return;
        --to_submit_;
        open_.emplace(++request_, SteadyClock::now());
        submit(request_, "r" + std::to_string(request_) + "@" + recipient_, content_);
    }
    void answered(const ipc::QueueToListener& answer) {
        const auto* durable = std::get_if<ipc::Durable>(&answer);
        if (!durable)
            fail("a message was refused");
        auto found = open_.find(durable->request);
        latencies_.push_back(since(found->second) * 1000);
        open_.erase(found);
        ++durable_;
        submit_next();
    }

    std::string recipient_, content_;
    std::map<uint32_t, SteadyClock::time_point> open_;
    std::vector<double> latencies_;
    uint32_t request_ = 0;
    size_t to_submit_ = 0, durable_ = 0, delivered_ = 0;
};

void bench_commit(const std::string& place, double seconds) {
    const std::string content(4096, 'x');
    Bench bench(place);
    bench.begin();
    bench.connect_listener();
    bench.push(SIZE_MAX, 0.5, "dest.example", content); // segments are there
    const double cpu = bench.cpu_seconds();
    const auto start = SteadyClock::now();
    const size_t count = bench.push(SIZE_MAX, seconds, "dest.example", content);
    const double rate = static_cast<double>(count) / since(start);
    const double used = bench.cpu_seconds() - cpu;
    const double files = files_per_second(place, seconds, content);
    std::printf("commit: 4 KiB, %zu submitters\n"
                "  in the spool          %8.0f messages/s   %.1f CPU us/message\n"
                "  a file for each       %8.0f messages/s   (new file, fsync, rename, fsync of the "
                "directory)\n"
                "  ratio                 %8.1f\n",
                submitters, rate, used * 1e6 / static_cast<double>(count), files, rate / files);
}

// Messages a second to a destination that takes them.
double live_rate(Bench& bench, double seconds) {
    const auto start = SteadyClock::now();
    const size_t before = bench.delivered();
    const size_t count = bench.push(SIZE_MAX, seconds, "live.example", std::string(1024, 'x'));
    if (!bench.until([&] { return bench.delivered() >= before + count; }, 60s))
        fail("mail for the live destination does not pass");
    return static_cast<double>(count) / since(start);
}

void list_all(Bench& bench, size_t messages) {
    ipc::QueueQuery query;
    query.limit = 1000;
    size_t entries = 0;
    auto start = SteadyClock::now();
    bool last = bench.next_page(query, entries);
    const double first_page = since(start);
    start = SteadyClock::now();
    while (!last)
        last = bench.next_page(query, entries);
    std::printf("  first page of the queue      %8.1f ms\n"
                "  all of it                    %8.1f s, %zu entries of %zu\n",
                first_page * 1000, since(start), entries, messages);
}

// Accepts while pages are asked for one after the other.
double p99_while_listing(Bench& bench, double seconds) {
    ipc::QueueQuery query;
    query.limit = 1000;
    size_t entries = 0;
    bool busy = true;
    std::vector<double> latencies;
    const auto start = SteadyClock::now();
    std::optional<SteadyClock::time_point> asked;
    bench.reports.clear();
    bench.control->send(query);
    while (busy) {
        std::vector<double> some = bench.probe(0.02, 2ms, "live.example");
        latencies.insert(latencies.end(), some.begin(), some.end());
        for (const ipc::Answer& report : std::exchange(bench.reports, {})) {
            const auto& page = std::get<ipc::QueuePage>(report);
            entries += page.entries.size();
            query.after_message = page.last ? 0 : page.after_message;
            query.after_index = page.last ? 0 : page.after_index;
            bench.control->send(query);
        }
        busy = since(start) < seconds;
    }
    bench.until([&] { return !bench.reports.empty(); }, 60s);
    return percentile(latencies, 0.99);
}

void bench_million(const std::string& place, double seconds, size_t messages) {
    Bench bench(place);
    bench.begin();
    bench.connect_everybody(200);
    bench.push(2000, 60, "live.example", "x");
    const double empty_rate = live_rate(bench, seconds);
    const size_t empty = bench.memory();
    std::printf("million: %zu messages for a dead destination\n", messages);

    const auto start = SteadyClock::now();
    if (bench.push(messages, 3600, "dead.example", std::string(300, 'x')) != messages)
        fail("not all mail was accepted");
    const double filled = since(start);
    bench.until([&] { return bench.statistic("queue.messages") >= messages; }, 60s);
    std::printf("  accepted                     %8.0f messages/s\n"
                "  memory of the queue          %8.1f MiB, %.0f bytes/recipient\n",
                static_cast<double>(messages) / filled,
                static_cast<double>(bench.memory()) / (1 << 20),
                static_cast<double>(bench.memory() - empty) / static_cast<double>(messages));
    const double full_rate = live_rate(bench, seconds);
    std::printf("  live destination             %8.0f messages/s, %.0f with an empty queue: %.2f\n",
                full_rate, empty_rate, full_rate / empty_rate);
    const double idle = percentile(bench.probe(seconds, 2ms, "live.example"), 0.99);
    const double listing = p99_while_listing(bench, seconds);
    std::printf(
        "  accept, 99th percentile      %8.2f ms, %.2f ms while the queue is listed: %.2f\n", idle,
        listing, listing / idle);
    list_all(bench, messages);

    bench.kill_queue();
    const auto restart = SteadyClock::now();
    bench.begin();
    bench.connect_everybody(200);
    if (bench.push(1, 60, "live.example", "x") != 1)
        fail("no mail is accepted after the start");
    const double serves = since(restart);
    if (!bench.until([&] { return bench.statistic("queue.messages") >= messages; }, 600s))
        fail("the spool is not loaded");
    std::printf("  after kill -9: new mail in   %8.2f s, all loaded in %.1f s, %.1f MiB\n", serves,
                since(restart), static_cast<double>(bench.memory()) / (1 << 20));
}

int run(int count, char** arguments) {
    std::string place = std::filesystem::temp_directory_path();
    double seconds = 5;
    size_t messages = 1'000'000;
    bool commit = false, million = false;
    for (int i = 1; i < count; ++i) {
        const std::string word = arguments[i];
        const char* value = i + 1 < count ? arguments[i + 1] : "";
        if (word == "commit")
            commit = true;
        else if (word == "million")
            million = true;
        else if (word == "--place" && ++i)
            place = value;
        else if (word == "--seconds" && ++i)
            seconds = std::atof(value);
        else if (word == "--messages" && ++i)
            messages = static_cast<size_t>(std::atoll(value));
        else
            fail(
                "usage: queue_bench [--place DIR] [--seconds N] [--messages N] [commit] [million]");
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (commit || !million)
        bench_commit(place, seconds);
    if (million || !commit)
        bench_million(place, seconds, messages);
    return 0;
}

} // namespace
} // namespace postern::test

int main(int count, char** arguments) { return postern::test::run(count, arguments); }
