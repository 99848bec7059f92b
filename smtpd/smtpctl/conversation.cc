#include "smtpd/smtpctl/conversation.h"

#include <cstdio>
#include <sysexits.h>

namespace postern {

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int refused(const std::string& why) {
    std::fprintf(stderr, "smtpctl: %s\n", why.c_str());
    return nothing_done;
}

int away(const Error& error) {
    std::fprintf(stderr, "smtpctl: %s\n", error.message.c_str());
    return EX_UNAVAILABLE;
}

int command(ControlClient& client, ipc::Question question) {
    Asked<ipc::Done> done = ask<ipc::Done>(client, std::move(question));
    if (!done.answer)
        return done.status;
    return done.answer->ok ? 0 : refused(done.answer->error);
}

int change(ControlClient& client, ipc::Change change) {
    uint64_t affected = 0;
    for (bool last = false; !last;) {
        Asked<ipc::Changed> changed = ask<ipc::Changed>(client, change);
        if (!changed.answer) {
            if (affected)
                print(std::to_string(affected) + " envelopes before that\n");
            return changed.status;
        }
        affected += changed.answer->affected;
        change.after_message = changed.answer->after_message;
        last = changed.answer->last;
    }
    print(std::to_string(affected) + (affected == 1 ? " envelope\n" : " envelopes\n"));
    return affected ? 0 : nothing_done;
}

} // namespace postern
