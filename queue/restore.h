// A message as the spool has it, into a table of mail.
#pragma once

#include "queue/mail_table.h"
#include "queue/spool/spool.h"

namespace postern {

struct Restored {
    QueuedMessage& message;
    // False: a recipient was delivered (QueuedRecipient::delivered), perhaps without the report of
    // it that is wanted.
    bool reported = true;
};

// `message` is what `found.envelope` decodes to. No recipient waits beyond `latest`: the clock may
// have been wrong. Progress that cannot be read is logged, and the message is sent to all its
// recipients.
Restored restore(MailTable& table, const RecoveredMessage& found, const StoredMessage& message,
                 WallTime latest);

} // namespace postern
