// Messages between processes: one that was taken over may send anything to the others.
#include "common/ipc/administration.h"
#include "common/ipc/authentication.h"
#include "common/ipc/codec.h"
#include "common/ipc/credentials.h"
#include "common/ipc/delivery.h"
#include "common/ipc/pam.h"
#include "common/ipc/resolution.h"
#include "common/ipc/routing.h"
#include "common/ipc/signing.h"
#include "common/ipc/submission.h"
#include "common/ipc/tables.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

namespace {

template <class Message> void check(std::string_view bytes) {
    std::vector<FileDescriptor> none;
    Message message;
    ipc::Decoder decoder(bytes, none);
    if (!decoder.get(message) || !decoder.at_end())
        return;
    std::string again;
    ipc::Encoder(again, none).put(message);
    expect(again == bytes, "what is taken is what would have been sent");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes = fuzz::text_of(data, size);
    check<ipc::ListenerToQueue>(bytes);
    check<ipc::QueueToListener>(bytes);
    check<ipc::ToLookup>(bytes);
    check<ipc::FromLookup>(bytes);
    check<ipc::ListenerToLookup>(bytes);
    check<ipc::RelayToLookup>(bytes);
    check<ipc::LookupToRelay>(bytes);
    check<ipc::LookupToListener>(bytes);
    check<ipc::LookupToPam>(bytes);
    check<ipc::PamToLookup>(bytes);
    check<ipc::PamQuestion>(bytes);
    check<ipc::PamFinding>(bytes);
    check<ipc::LookupToTables>(bytes);
    check<ipc::TablesToLookup>(bytes);
    check<ipc::ToResolver>(bytes);
    check<ipc::FromResolver>(bytes);
    check<ipc::QueueToDeliverer>(bytes);
    check<ipc::DelivererToQueue>(bytes);
    check<ipc::ListenerToKeyholder>(bytes);
    check<ipc::KeyholderToListener>(bytes);
    check<ipc::Question>(bytes);
    check<ipc::Answer>(bytes);
    return 0;
}
