#include "deliver/local/helper/forward.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"
#include "common/config/format_specifier.h"
#include "common/ipc/delivery.h"
#include "common/mail/alias.h"
#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

using ipc::Target;
using ipc::TargetKind;

constexpr size_t extension_limit = 64;

bool has_home(const std::string& home) {
    return !home.empty() && home != "/" && home != "/nonexistent";
}

// The address without what is behind the '+' of its local part.
std::string without_tag(const std::string& address) {
    const size_t tag = address.find(subaddress_delimiter), at = address.rfind('@');
    if (tag == std::string::npos || at == std::string::npos || tag > at || address.front() == '"')
        return address;
    return address.substr(0, tag) + address.substr(at);
}

std::string with_domain(const std::string& name, const std::string& recipient) {
    const size_t at = recipient.rfind('@');
    const std::string local_part = Mailbox(name, "").to_string();
    return at == std::string::npos ? local_part : local_part + recipient.substr(at);
}

Target mailbox_of(const ForwardOwner& owner) { return {TargetKind::mailbox, owner.user, ""}; }

// The whole path has a limit, too (RFC 5321 4.5.3.1.3).
Result<Target> to_address(std::string text) {
    if (!parse_forward_path("<" + text + ">", nullptr, Internationalized::accepted))
        return Error{"an address that is too long"};
    return Target{TargetKind::address, std::move(text), ""};
}

Result<Target> target_of(const AliasValue& value, const ForwardOwner& owner) {
    switch (value.kind) {
    case AliasKind::name:
    case AliasKind::mailbox:
        // Another user's mail is his own business: he may have a .forward, too.
        if (equal_ignoring_case(value.text, owner.user))
            return mailbox_of(owner);
        return to_address(with_domain(value.text, owner.recipient));
    case AliasKind::address:
        // Another address of his, or one with a tag, comes back to him, and then is that mailbox.
        if (equal_ignoring_case(value.text, owner.recipient) ||
            equal_ignoring_case(value.text, without_tag(owner.recipient)))
            return mailbox_of(owner);
        return to_address(value.text);
    case AliasKind::command:
        return Target{TargetKind::command, value.text, owner.user};
    case AliasKind::file:
        return Target{TargetKind::file, value.text, owner.user};
    case AliasKind::include:
        return Error{"\":include:\" is not for a .forward"};
    case AliasKind::refusal:
        return Error{"\"error:\" is not for a .forward"};
    }
    return Error{"an unknown kind of value"};
}

Result<void> check_home(int home, const std::string& path) {
    struct stat status;
    if (::fstat(home, &status) < 0)
        return system_error("look at " + path);
    if (status.st_uid != ::geteuid() && status.st_uid != 0)
        return Error{path + " belongs to another user", EPERM};
    if (status.st_mode & S_IWOTH)
        return Error{path + " is for everybody to write to", EPERM};
    return {};
}

Result<void> check_file(int file, const std::string& path) {
    struct stat status;
    if (::fstat(file, &status) < 0)
        return system_error("look at " + path);
    const char* fault = nullptr;
    if (!S_ISREG(status.st_mode))
        fault = " is no regular file";
    else if (status.st_uid != ::geteuid() && status.st_uid != 0)
        fault = " belongs to another user";
    else if (status.st_mode & (S_IWGRP | S_IWOTH))
        fault = " is for others to write to";
    else if (static_cast<size_t>(status.st_size) > forward_size_limit)
        fault = " is larger than 32 KiB";
    return fault ? Error{path + fault, EPERM} : Result<void>();
}

Result<std::string> read_text(int file, const std::string& path) {
    std::string text(forward_size_limit + 1, '\0');
    size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(file, text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_error("read " + path);
        if (got == 0)
            break;
        size += static_cast<size_t>(got);
    }
    if (size > forward_size_limit) // it has grown meanwhile
        return Error{path + " is larger than 32 KiB", EPERM};
    text.resize(size);
    return text;
}

// The text of one file of the home directory; nothing: there is none.
Result<std::optional<std::string>> read_file(int home, const std::string& home_path,
                                             const std::string& name) {
    const std::string path = home_path + "/" + name;
    const FileDescriptor file(
        ::openat(home, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file && errno == ENOENT)
        return std::optional<std::string>();
    if (!file)
        return system_error("open " + path);
    if (Result<void> good = check_home(home, home_path); !good)
        return good.error();
    if (Result<void> good = check_file(file.get(), path); !good)
        return good.error();
    Result<std::string> text = read_text(file.get(), path);
    if (!text)
        return text.error();
    return std::optional<std::string>(*std::move(text));
}

// An extension is a stranger's: it may name a file in the home directory, and no other.
std::vector<std::string> names_of(const std::string& extension) {
    std::vector<std::string> names;
    const bool harmless = std::all_of(extension.begin(), extension.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("_=.-").find(c) != std::string_view::npos;
    });
    if (!extension.empty() && extension.size() <= extension_limit && harmless &&
        extension.front() != '.')
        names.push_back(".forward+" + extension);
    names.push_back(".forward");
    return names;
}

} // namespace

Result<std::vector<Target>> parse_forward(std::string_view text, const ForwardOwner& owner) {
    std::vector<Target> targets;
    while (!text.empty()) {
        const std::string_view line = trim(take_line(text), " \t\r");
        if (line.find_first_not_of(", \t") == line.npos || line.starts_with('#'))
            continue;
        Result<std::vector<AliasValue>> values = parse_alias_values(line);
        if (!values)
            return values.error();
        for (const AliasValue& value : *values) {
            Result<Target> target = target_of(value, owner);
            if (!target)
                return target.error();
            if (std::find(targets.begin(), targets.end(), *target) == targets.end())
                targets.push_back(*std::move(target));
            if (targets.size() > ipc::forward_limit)
                return Error{"there are more than " + std::to_string(ipc::forward_limit) +
                             " recipients"};
        }
    }
    return targets;
}

Result<std::optional<std::vector<Target>>> read_forward(const ForwardOwner& owner) {
    std::optional<std::vector<Target>> none;
    if (!has_home(owner.home))
        return none;
    const FileDescriptor home(::open(owner.home.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    // Not mounted now, perhaps: whether there is a .forward in it nobody knows.
    if (!home)
        return system_error("home directory " + owner.home);
    for (const std::string& name : names_of(owner.extension)) {
        Result<std::optional<std::string>> text = read_file(home.get(), owner.home, name);
        if (!text)
            return text.error();
        if (!*text)
            continue;
        Result<std::vector<Target>> targets = parse_forward(**text, owner);
        if (!targets)
            return Error{owner.home + "/" + name + ": " + targets.error().message, EINVAL};
        if (targets->empty())
            return none;
        return std::optional(*std::move(targets));
    }
    return none;
}

} // namespace postern
