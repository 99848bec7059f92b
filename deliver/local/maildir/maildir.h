// One message into one Maildir, durably.
//
// When store_message() succeeds the message is in new/ and synced, its directory too. When it fails
// nothing of it is in new/; at worst, after a crash, a file is left in tmp/, which every mail
// reader clears out. Runs as the mailbox's owner: what he may do is all it can do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace postern {

struct MaildirMessage {
    std::string path;         // of the Maildir; made, with its parents, if it is not there
    std::string reverse_path; // without brackets; empty: the null path
    std::string recipient;
    int content = 0; // descriptor: from its present offset to its end, which stays as it is; or a
                     // pipe
};

// Stores it and returns the name of the file. Error::code is the errno.
//
// The file is the content with LF line ends, behind a Return-Path and a Delivered-To field.
Result<std::string> store_message(const MaildirMessage& message);

// The exit status (sysexits.h) for the errno of a failure: EX_TEMPFAIL, EX_CANTCREAT, EX_NOPERM, or
// EX_IOERR.
int exit_status_of(int code);

// A name that no other file in any Maildir has: time, microseconds, process and host
// (https://cr.yp.to/proto/maildir.html). '/' and ':' in the host's name are escaped.
std::string unique_name(int64_t seconds, int64_t microseconds, int64_t process, unsigned attempt,
                        std::string_view host);

// Turns CRLF into LF, across pieces; a CR elsewhere stays. The end of the content gets a LF if it
// has none.
class LineEnds {
  public:
    void convert(std::string_view piece, std::string& out);
    void finish(std::string& out);

  private:
    bool held_ = false; // a CR, until it is known what follows
    bool at_line_start_ = true;
};

} // namespace postern
