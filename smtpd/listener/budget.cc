#include "smtpd/listener/budget.h"

namespace postern::listener {

Budget::Budget(const ipc::ListenerSettings& settings)
    : max_errors_(settings.max_errors), max_refused_recipients_(settings.max_recipients),
      max_transactions_(settings.max_mails), max_commands_(settings.max_commands) {}

void Budget::idle_command() {
    if (++idle_commands_ > free_commands)
        bad_command();
}

void Budget::surplus_recipient() {
    if (surplus_recipients_ >= free_recipients)
        bad_command();
    else
        ++surplus_recipients_;
}

void Budget::surplus_chunk() {
    if (surplus_chunks_ >= free_chunks)
        bad_command();
    else
        ++surplus_chunks_;
}

void Budget::message_accepted() {
    errors_ = idle_commands_ = refused_recipients_ = surplus_recipients_ = surplus_chunks_ = 0;
}

bool Budget::exhausted() const {
    return (max_errors_ != 0 && errors_ > max_errors_) ||
           (max_refused_recipients_ != 0 && refused_recipients_ > max_refused_recipients_);
}

bool Budget::take_transaction() {
    if (max_transactions_ != 0 && transactions_ >= max_transactions_)
        return false;
    ++transactions_;
    return true;
}

bool Budget::take_command() {
    if (max_commands_ != 0 && commands_ >= max_commands_)
        return false;
    ++commands_;
    return true;
}

} // namespace postern::listener
