// Who is in a recipient's place: aliases, lists and virtual users (aliases(5), RFC 5321 3.9). Pure:
// tables, rules and users are passed in, so that an expansion can be worked out again when more is
// known of them.
//
// An expansion goes on through every local action with a table until nothing is left to be looked
// up: what comes out are addresses for others, users of this host, commands and files.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/ipc/routing.h"
#include "common/mail/alias.h"
#include "common/smtp/address.h"

namespace postern {

inline constexpr size_t expansion_depth = 10; // aliases behind aliases

// The key of an entry, or of a recipient, in the form in which they are compared: the local part as
// comparable_name() has it, the domain as canonical_domain().
std::string alias_key(std::string_view text);

// What is asked for: at RCPT it is enough to know that there is somebody.
enum class Wanted : uint8_t { everybody, somebody };

struct ExpansionView {
    // The value of a key in a table: nothing if there is none; an error where it cannot be told
    // now.
    std::function<Result<std::optional<std::string>>(const std::string& table,
                                                     const std::string& key)>
        find;
    // Whether the table is elsewhere: commands, files and included files are not taken from there.
    std::function<bool(const std::string& table)> is_external;
    // The names and addresses of ":include:/path".
    std::function<const std::vector<std::string>&(const std::string& path)> included;
    // How mail of our own to this address is delivered; null: no rule takes it.
    std::function<const Action*(const Mailbox&)> action_of;
    // Whether a local action has a mailbox for this local part: accepted, no_mailbox or temporary.
    std::function<ipc::RouteVerdict(const Action&, const std::string& local_part)> find_mailbox;
};

struct Expansion {
    // accepted: nobody is in its place, it is delivered as it is. Else expanded, refused,
    // no_mailbox or temporary.
    ipc::RouteVerdict verdict = ipc::RouteVerdict::accepted;
    std::string words; // refused, temporary: ipc::RouteAnswer::words
    std::vector<ipc::ExpandedRecipient> recipients;
    std::vector<std::string> problems; // what was left out, for the operator; the first few
};

class Expander {
  public:
    // `default_domain` is that of a recipient without one. `with_owner`: members of a list get its
    // owner as reverse-path, which mail from the null reverse-path does not.
    Expander(const ExpansionView& view, std::string default_domain, bool with_owner,
             Wanted wanted = Wanted::everybody);

    // `action`: the recipient's, a local one.
    Expansion expand(const Mailbox& recipient, const Action& action);

  private:
    // What is being expanded: an entry of a table.
    struct Entry {
        Mailbox address;
        const Action& action;
        std::string name; // its key without a domain
        std::string owner;
        bool is_virtual;
    };
    struct Found {
        std::string key;
        std::optional<std::string> value;
        bool known = true; // false: it cannot be told yet, or not now
    };

    void enter(const Mailbox& address, const Action& action, const std::string& owner);
    Found find(const Action& action, const Mailbox& address);
    std::optional<std::string> value_of(const std::string& table, const std::string& key);
    std::string owner_of(const Action& action, const Mailbox& address, const std::string& name);
    void no_entry(const Mailbox& address, const Action& action, const std::string& owner);
    void put_values(const Entry& entry, std::string_view text);
    void put(const Entry& entry, const AliasValue& value);
    void put_name(const Entry& entry, const std::string& name);
    void put_address(const Entry& entry, const std::string& address);
    void put_included(const Entry& entry, const std::string& path);
    void put_user(const Entry& entry, const std::string& name, ipc::TargetKind kind);
    void put_program(const Entry& entry, ipc::TargetKind kind, const std::string& text);
    void add(ipc::ExpandedRecipient recipient);
    void problem(std::string what);
    // What a table has yet to say of one member keeps no other from being asked for at the same
    // time, unless one is enough.
    bool stopped() const {
        return temporary_ || too_many_ ||
               (wanted_ == Wanted::somebody && (unknown_ || !result_.recipients.empty()));
    }

    const ExpansionView& view_;
    std::string default_domain_;
    bool with_owner_;
    Wanted wanted_;
    bool only_elsewhere_ = false;
    bool plain_ = false; // the recipient itself has no entry
    bool temporary_ = false;
    bool unknown_ = false; // of an entry
    bool too_many_ = false;
    bool loop_ = false;
    std::string refusal_;
    std::vector<std::string> path_; // entries that are being expanded
    std::set<std::string> done_;    // all that were begun
    std::set<std::string> added_;
    Expansion result_;
};

} // namespace postern
