#include "smtpd/pam/check/pam_check.h"

#include <cstdlib>
#include <cstring>
#include <security/pam_appl.h>

namespace postern::pam {

using ipc::Authentication;

namespace {

// PAM frees the answers, and the strings in them.
void discard(pam_response* answers, int count) {
    for (int i = 0; i < count; ++i)
        if (answers[i].resp) {
            explicit_bzero(answers[i].resp, std::strlen(answers[i].resp));
            std::free(answers[i].resp);
        }
    std::free(answers);
}

int converse(int count, const pam_message** messages, pam_response** answers, void* question) {
    const auto& asked = *static_cast<const ipc::PamQuestion*>(question);
    if (count <= 0 || count > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    auto* given =
        static_cast<pam_response*>(std::calloc(static_cast<size_t>(count), sizeof(pam_response)));
    if (!given)
        return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) {
        const char* text = nullptr;
        switch (messages[i]->msg_style) {
        case PAM_PROMPT_ECHO_OFF:
            text = asked.password.c_str();
            break;
        case PAM_PROMPT_ECHO_ON:
            text = asked.user.c_str();
            break;
        case PAM_ERROR_MSG: // for somebody who sits there
        case PAM_TEXT_INFO:
            continue;
        default:
            discard(given, count);
            return PAM_CONV_ERR;
        }
        given[i].resp = ::strdup(text);
        if (!given[i].resp) {
            discard(given, count);
            return PAM_BUF_ERR;
        }
    }
    *answers = given;
    return PAM_SUCCESS;
}

// The listener holds back the answers to failures itself, and here others wait meanwhile.
void no_delay(int, unsigned, void*) {}

Authentication verdict_of(int code) {
    switch (code) {
    case PAM_SUCCESS:
        return Authentication::ok;
    case PAM_AUTH_ERR:
    case PAM_USER_UNKNOWN:
    case PAM_MAXTRIES:
    case PAM_PERM_DENIED:
    case PAM_ACCT_EXPIRED:
    case PAM_CRED_EXPIRED:
    case PAM_AUTHTOK_EXPIRED:
    case PAM_NEW_AUTHTOK_REQD: // nobody can choose a new password by SMTP
        return Authentication::failed;
    default:
        return Authentication::temporary;
    }
}

// A pam_handle_t from its start to its end.
class Transaction {
  public:
    Transaction(const std::string& service, const char* directory, const ipc::PamQuestion& question)
        : conversation_{converse, const_cast<ipc::PamQuestion*>(&question)} {
        code_ = directory
                    ? pam_start_confdir(service.c_str(), question.user.c_str(), &conversation_,
                                        directory, &handle_)
                    : pam_start(service.c_str(), question.user.c_str(), &conversation_, &handle_);
    }
    ~Transaction() {
        if (handle_)
            pam_end(handle_, code_);
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    // Does one more step, if all before it went well. `name` for the operator.
    template <class Step> void then(const char* name, Step step) {
        if (code_ != PAM_SUCCESS)
            return;
        step_ = name;
        code_ = step(handle_);
    }
    int code() const { return code_; }
    std::string reason() const { return std::string(step_) + ": " + pam_strerror(handle_, code_); }

    // Who it is: a module may have changed the name.
    std::string user() const {
        const void* name = nullptr;
        if (pam_get_item(handle_, PAM_USER, &name) != PAM_SUCCESS || !name)
            return {};
        return std::string(static_cast<const char*>(name)).substr(0, ipc::pam_pipe_limit / 2);
    }

  private:
    pam_conv conversation_;
    pam_handle_t* handle_ = nullptr;
    int code_ = PAM_SYSTEM_ERR;
    const char* step_ = "start";
};

} // namespace

ipc::PamFinding ask(const std::string& service, const char* directory,
                    const ipc::PamQuestion& question) {
    constexpr int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
    Transaction transaction(service, directory, question);
    transaction.then("start", [&](pam_handle_t* handle) {
        return pam_set_item(handle, PAM_RHOST, question.remote_host.c_str());
    });
    transaction.then("start", [](pam_handle_t* handle) {
        return pam_set_item(handle, PAM_FAIL_DELAY, reinterpret_cast<const void*>(no_delay));
    });
    transaction.then("password",
                     [](pam_handle_t* handle) { return pam_authenticate(handle, flags); });
    transaction.then("account", [](pam_handle_t* handle) { return pam_acct_mgmt(handle, flags); });
    ipc::PamFinding finding;
    finding.verdict = verdict_of(transaction.code());
    if (finding.verdict == Authentication::ok)
        finding.user = transaction.user();
    else
        finding.reason = transaction.reason();
    return finding;
}

} // namespace postern::pam
