#include "queue/lifetime.h"

namespace postern {

namespace {

std::optional<WallTime> late_at(const ipc::Envelope& envelope) {
    return gives_up(envelope) ? std::nullopt : wanted_by(envelope);
}

} // namespace

Told told_by(const ipc::Envelope& envelope, const WarnDelays& delays, Told told, WallTime now) {
    const auto passed = std::count_if(delays.begin(), delays.end(), [&](std::chrono::seconds one) {
        return starts_at(envelope) + one.count() <= now;
    });
    const auto warnings = std::max<Told>(told & told::warnings, static_cast<Told>(passed));
    const std::optional<WallTime> late = late_at(envelope);
    return static_cast<Told>(warnings | (late && *late <= now ? told::late : told & told::late));
}

std::optional<WallTime> next_told(const ipc::Envelope& envelope, const WarnDelays& delays,
                                  Told told) {
    std::optional<WallTime> next;
    if (const size_t warnings = told & told::warnings; warnings < delays.size())
        next = starts_at(envelope) + delays[warnings].count();
    if (const auto late = late_at(envelope); late && !(told & told::late))
        next = std::min(next.value_or(*late), *late);
    return next;
}

} // namespace postern
