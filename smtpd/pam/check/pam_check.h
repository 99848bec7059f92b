// One question to PAM: is this the password of this user, and may he log in now? Blocks, for as
// long as the modules like. Whatever they do to the process that calls this is done to it.
#pragma once

#include <string>

#include "common/ipc/pam.h"

namespace postern::pam {

// `directory` has the files of the services; nullptr: where PAM has them (/etc/pam.d).
//
// A prompt for something hidden is answered with the password, another one with the user's name,
// and what is no prompt with nothing; a module that wants anything else cannot be satisfied.
// Failed: PAM says no, whether it is the user, the password or the account. Temporary: PAM or a
// module of it says neither yes nor no.
ipc::PamFinding ask(const std::string& service, const char* directory,
                    const ipc::PamQuestion& question);

} // namespace postern::pam
