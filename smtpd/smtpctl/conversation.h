// What a command of smtpctl does with the server: it asks, prints, and ends with an exit status.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "smtpd/smtpctl/client.h"

namespace postern {

inline constexpr int nothing_done = 1; // an exit status; others are those of sysexits.h

void print(const std::string& text);
// Say so on standard error; the exit status.
int refused(const std::string& why);
int away(const Error& error);

// The answer as T, or the exit status of what else it is.
template <class T> struct Asked {
    std::optional<T> answer;
    int status = 0;
};
template <class T> Asked<T> ask(ControlClient& client, ipc::Question question) {
    Result<ipc::Answer> answer = client.ask(std::move(question));
    if (!answer)
        return {std::nullopt, away(answer.error())};
    if (T* wanted = std::get_if<T>(&*answer))
        return {std::move(*wanted), 0};
    if (auto* done = std::get_if<ipc::Done>(&*answer))
        return {std::nullopt, refused(done->error)};
    return {std::nullopt, refused("an unexpected answer")};
}

// A question that is answered by Done.
int command(ControlClient& client, ipc::Question question);
// All pieces of it, and how many envelopes it reached.
int change(ControlClient& client, ipc::Change change);

} // namespace postern
