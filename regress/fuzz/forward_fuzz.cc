// A user's .forward.
#include "common/ipc/delivery.h"
#include "deliver/local/helper/forward.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    const ForwardOwner owner{"alice", "/home/alice", "alice+x@here.test", "x"};
    const Result<std::vector<ipc::Target>> targets = parse_forward(text, owner);
    if (!targets) {
        expect(!targets.error().message.empty(), "a refusal has a reason");
        return 0;
    }
    expect(targets->size() <= ipc::forward_limit, "there is an end to them");
    for (const ipc::Target& target : *targets) {
        expect(!target.text.empty(), "a target is something");
        expect(target.text.find_first_of(std::string_view("\0\n", 2)) == std::string::npos,
               "of one line");
        const bool program =
            target.kind == ipc::TargetKind::command || target.kind == ipc::TargetKind::file;
        expect(target.user == (program ? "alice" : ""), "and runs as nobody else");
        expect(target.kind != ipc::TargetKind::file || target.text.front() == '/',
               "a file has an absolute path");
        expect(target.kind != ipc::TargetKind::mailbox || target.text == "alice",
               "a mailbox is his own");
        expect(target.kind != ipc::TargetKind::address ||
                   target.text.find('@') != std::string::npos,
               "an address has a domain");
    }
    return 0;
}
