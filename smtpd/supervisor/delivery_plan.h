// What is run for a delivery that `local` asks for: decided from the supervisor's own
// configuration, so that a `local` that strangers have broken into gets nothing run but what the
// operator or the user has written. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "smtpd/supervisor/delivery_environment.h"

namespace postern {

struct DeliveryPlan {
    std::vector<std::string> arguments; // of postern-deliver
    std::vector<std::string> environment;
    bool is_command = false; // which may be, or start, a program with a set-user-ID bit
    // A mailbox in /var/mail: the group of that folder, if it is called mail, is the helper's.
    bool in_mail_spool = false;
};

// Which action a request is for, and whether it may ask for this user. Error::code is the exit
// status (sysexits.h) that `local` is told.
Result<const Action*> find_action(const Configuration& configuration, const ipc::Spawn& request);

// The same, once the user has been found.
Result<DeliveryPlan> plan_delivery(const Action& action, const ipc::Spawn& request,
                                   const LocalUser& user, const Configuration& configuration);

} // namespace postern
