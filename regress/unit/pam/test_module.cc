// A module of PAM that does what its arguments in the service's file say, in their order, and
// succeeds if it comes to their end:
//
//     hidden=TEXT, shown=TEXT   asks so, and fails unless that is the answer
//     style=N                   sends one message of this style, and fails if it is refused
//     two=TEXT                  asks twice in one go
//     many                      sends more messages than there may be
//     rhost=TEXT                fails unless that is the client
//     user=NAME, no-user        sets who it is
//     delay                     asks for a delay of failures
//     print                     writes to standard output and error
//     exit, crash               ends the process
//     code=N                    returns it
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

namespace {

int converse(pam_handle_t* handle, const std::vector<int>& styles,
             std::vector<std::string>& answers) {
    const void* item = nullptr;
    if (pam_get_item(handle, PAM_CONV, &item) != PAM_SUCCESS)
        return PAM_SYSTEM_ERR;
    const auto* conversation = static_cast<const pam_conv*>(item);
    std::vector<pam_message> messages;
    for (const int style : styles)
        messages.push_back({style, "Text: "});
    std::vector<const pam_message*> pointers;
    for (const pam_message& message : messages)
        pointers.push_back(&message);
    pam_response* responses = nullptr;
    const int code = conversation->conv(static_cast<int>(styles.size()), pointers.data(),
                                        &responses, conversation->appdata_ptr);
    if (code != PAM_SUCCESS)
        return code;
    for (size_t i = 0; i < styles.size(); ++i) {
        answers.emplace_back(responses[i].resp ? responses[i].resp : "");
        std::free(responses[i].resp);
    }
    std::free(responses);
    return PAM_SUCCESS;
}

int ask(pam_handle_t* handle, const std::vector<int>& styles, std::string_view expected) {
    std::vector<std::string> answers;
    if (const int code = converse(handle, styles, answers); code != PAM_SUCCESS)
        return code;
    for (const std::string& answer : answers)
        if (answer != expected)
            return PAM_AUTH_ERR;
    return PAM_SUCCESS;
}

int check_remote_host(pam_handle_t* handle, std::string_view expected) {
    const void* host = nullptr;
    if (pam_get_item(handle, PAM_RHOST, &host) != PAM_SUCCESS || !host)
        return PAM_AUTH_ERR;
    return static_cast<const char*>(host) == expected ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int print() {
    std::printf("a module has something to say\n");
    std::fprintf(stderr, "here too\n");
    return PAM_SUCCESS;
}

int perform(pam_handle_t* handle, std::string_view word) {
    const size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    const std::string value(equals == word.npos ? "" : word.substr(equals + 1));
    if (name == "hidden")
        return ask(handle, {PAM_PROMPT_ECHO_OFF}, value);
    if (name == "shown")
        return ask(handle, {PAM_PROMPT_ECHO_ON}, value);
    if (name == "style")
        return ask(handle, {std::atoi(value.c_str())}, "");
    if (name == "two")
        return ask(handle, {PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_OFF}, value);
    if (name == "many")
        return ask(handle, std::vector<int>(PAM_MAX_NUM_MSG + 1, PAM_TEXT_INFO), "");
    if (name == "rhost")
        return check_remote_host(handle, value);
    if (name == "user")
        return pam_set_item(handle, PAM_USER, value.c_str());
    if (name == "no-user")
        return pam_set_item(handle, PAM_USER, nullptr);
    if (name == "delay")
        return pam_fail_delay(handle, 60'000'000);
    if (name == "print")
        return print();
    if (name == "exit")
        std::exit(0);
    if (name == "crash")
        std::raise(SIGSEGV);
    return name == "code" ? std::atoi(value.c_str()) : PAM_SERVICE_ERR;
}

int perform_all(pam_handle_t* handle, int argc, const char** argv) {
    for (int i = 0; i < argc; ++i)
        if (const int code = perform(handle, argv[i]); code != PAM_SUCCESS)
            return code;
    return PAM_SUCCESS;
}

} // namespace

extern "C" {

int pam_sm_authenticate(pam_handle_t* handle, int, int argc, const char** argv) {
    return perform_all(handle, argc, argv);
}

int pam_sm_acct_mgmt(pam_handle_t* handle, int, int argc, const char** argv) {
    return perform_all(handle, argc, argv);
}

int pam_sm_setcred(pam_handle_t*, int, int, const char**) { return PAM_SUCCESS; }

} // extern "C"
