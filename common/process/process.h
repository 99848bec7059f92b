// What every process under the supervisor has in common: its first channel, its settings, the way
// it gives up its privileges, and its end.
//
//     int main() {
//         Process process(ipc::Role::relay);
//         ipc::Configure first = process.first_configure();
//         process.lock_in(first.identity, Sandbox{.network_client = true});
//         Relay relay(process.loop(), …);
//         return process.run({.configure = …, .connect = …, .drain = …});
//     }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/base/result.h"
#include "common/ipc/channel.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/peer_watch.h"
#include "common/process/sandbox.h"

namespace postern {

class Process {
  public:
    // Takes the channel at ipc::supervision_fd. Ends the process with a word on standard error
    // when there is none: it was started by hand. `cut_off_after`: how long it lives on without a
    // peer that it needs (peer_watch.h).
    explicit Process(ipc::Role role, Duration cut_off_after = cut_off_limit);

    EventLoop& loop() { return loop_; }

    // Waits for the first message of the supervisor, which is Configure, and opens the log. The
    // only place where a process blocks, before it has anything else to do.
    ipc::Configure first_configure();

    // Becomes `identity`, for good, with nothing but what `sandbox` allows. Failure ends the
    // process: it does not serve with more rights than it should have.
    void lock_in(const ipc::Identity& identity, const Sandbox& sandbox);

    struct Handlers {
        std::function<void(ipc::Configure)> configure;   // a reload
        std::function<void(ipc::Connect)> connect;       // a channel to a peer
        std::function<void(std::chrono::seconds)> drain; // call quit() when done, in that time
        std::function<void(ipc::Exited)> exited = {};    // local only
    };
    // Says Ready and runs until quit(), or until the supervisor is gone. Returns the exit status.
    int run(Handlers handlers);
    void quit(int status = 0);

    void send(ipc::ToSupervisor message);

  private:
    void dispatch(ipc::FromSupervisor&& message);
    void cut_off(ipc::Role peer);

    ipc::Role role_;
    EventLoop loop_;
    Handlers handlers_;
    PeerWatch peers_;
    bool running_ = false;
    std::vector<ipc::FromSupervisor> early_; // came with the settings, for run()
    int status_ = 0;
    std::unique_ptr<ipc::Channel<ipc::FromSupervisor, ipc::ToSupervisor>> supervisor_;
};

// The settings of a Configure, whole or an error. Reads from the start of the file.
Result<std::string> read_memory_file(const FileDescriptor& file);
template <class Settings> Result<Settings> read_settings(const ipc::Configure& configure) {
    Result<std::string> bytes = read_memory_file(configure.settings);
    if (!bytes)
        return bytes.error();
    Settings settings;
    if (!ipc::decode_bytes(*bytes, settings))
        return Error{"the settings are malformed"};
    return settings;
}
// A sealed memory file with these bytes: nobody can change it under its reader.
Result<FileDescriptor> make_memory_file(const char* name, std::string_view bytes);

} // namespace postern
