// A command line of SMTP, as any client may send it.
#include "common/smtp/command.h"

#include "common/smtp/limits.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

namespace {

void check_mailbox(const Mailbox& mailbox, bool utf8) {
    if (mailbox.is_null() || mailbox.domain().empty())
        return;
    const std::string wire = mailbox.to_string();
    expect(wire.size() <= limits::path, "what was accepted fits into a path");
    for (char c : wire)
        expect((c >= 0x20 && c < 0x7f) || (utf8 && (c & 0x80) != 0), "an address is printable");
    const auto again = parse_mailbox(
        wire, nullptr, utf8 ? Internationalized::accepted : Internationalized::refused);
    expect(again && *again == mailbox, "what is written is read back as the same");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view line = fuzz::text_of(data, size);
    for (bool extended : {true, false}) {
        Extensions everything{true, true, true, true, true, true, true, true, true, true};
        everything.xclient = everything.etrn = true;
        Extensions nothing;
        nothing.any = false;
        const Command command = parse_command(line, extended ? everything : nothing);
        if (const auto* error = std::get_if<CommandError>(&command)) {
            expect(error->reply.code >= 500 && error->reply.code <= 555, "a refusal is a 5yz");
            expect(to_wire(error->reply).size() <= limits::reply_line, "and one line");
        } else if (const auto* mail = std::get_if<MailCommand>(&command)) {
            check_mailbox(mail->reverse_path, mail->parameters.smtp_utf8);
            expect(extended || (!mail->size && mail->parameters == MailParameters()),
                   "after HELO there are no parameters");
            expect(is_valid(mail->parameters), "what was accepted is valid");
        } else if (const auto* rcpt = std::get_if<RcptCommand>(&command)) {
            expect(!rcpt->forward_path.is_null(), "a forward-path is not null");
            check_mailbox(rcpt->forward_path, extended);
            expect(is_valid(rcpt->parameters), "what was accepted is valid");
        } else if (const auto* client = std::get_if<XclientCommand>(&command)) {
            for (const auto& text : {client->name, client->helo, client->login})
                for (char c : text.value_or(""))
                    expect(c >= 0x20 && c < 0x7f, "what is said of a client is printable");
        }
        for (char c : line)
            if (c == '\0' || c == '\r' || c == '\n')
                expect(std::holds_alternative<CommandError>(command),
                       "a line with a control octet is no command");
    }
    return 0;
}
