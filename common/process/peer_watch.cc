#include "common/process/peer_watch.h"

#include <algorithm>
#include <fcntl.h>

namespace postern {

using ipc::Role;

bool depends_on(Role self, Role peer) {
    static constexpr std::pair<Role, Role> needs[] = {
        {Role::listener, Role::queue},    {Role::listener, Role::lookup},
        {Role::listener, Role::resolver}, {Role::listener, Role::keyholder},
        {Role::queue, Role::lookup},      {Role::relay, Role::queue},
        {Role::relay, Role::resolver},    {Role::relay, Role::keyholder},
        {Role::relay, Role::lookup},      {Role::local, Role::queue},
        {Role::pam, Role::lookup},        {Role::tables, Role::lookup},
        {Role::policy, Role::resolver},   {Role::policy, Role::queue},
    };
    return std::find(std::begin(needs), std::end(needs), std::pair(self, peer)) != std::end(needs);
}

PeerWatch::Entry::Entry(PeerWatch& all, Role role, FileDescriptor channel)
    : all_(all), role_(role), channel_(std::move(channel)),
      watch_(all.loop_, channel_.get(), [this](short) {
          watch_.want(Watch::none);
          arm(all_.loop_, all_.loop_.now() + all_.limit_);
      }) {
    watch_.want(Watch::closed);
}

void PeerWatch::watch(Role role, uint32_t index, const FileDescriptor& channel) {
    FileDescriptor duplicate(fcntl(channel.get(), F_DUPFD_CLOEXEC, 0));
    if (!duplicate)
        return; // without descriptors there is more to mend than this
    entries_[{role, index}] = std::make_unique<Entry>(*this, role, std::move(duplicate));
}

size_t PeerWatch::pending() const {
    return static_cast<size_t>(std::count_if(
        entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second->armed(); }));
}

} // namespace postern
