// DANE for mail exchangers (RFC 7672): from DNS answers to what a connection has to be like. The
// decisions are pure; find_dane() asks the DNS for them.
#pragma once

#include <string>
#include <vector>

#include "common/ipc/resolution.h"
#include "common/loop/task.h"
#include "deliver/relay/exchangers.h"
#include "deliver/relay/network.h"
#include "deliver/relay/tls_policy.h"

namespace postern::relay {

enum class DaneVerdict : uint8_t {
    none,     // no secure records: as without DANE (2.2)
    unusable, // secure ones, none of which can be verified by: encrypted all the same (2.2)
    usable,
    failed, // nobody knows: this exchanger must not be used now (2.1.1)
};
const char* to_string(DaneVerdict verdict);

struct DaneFinding {
    DaneVerdict verdict = DaneVerdict::none;
    std::string base;                 // the domain that the records are those of
    std::vector<std::string> records; // the usable ones, at most as many as an answer has
    Diagnosis failure;
    bool bogus = false; // it is that records fail validation, and not that nobody answers
};

// Of the answer for `base` and its port.
DaneFinding judge_tlsa(const std::string& base, const ipc::ResolveAnswer& answer);

// Which names to ask TLSA records of, the first one that has some decides; none: DANE is not for
// this exchanger. `alias`: the answer for the CNAME of an alias that does not lead to a secure
// place; null: it is no such alias (2.2.2).
std::vector<std::string> tlsa_bases(const Exchanger& exchanger, const ipc::ResolveAnswer* alias);

// What `policy` becomes for the exchanger by the finding, which is none of failed ones. `domains`:
// of the mail, and what that is an alias of: a certificate for one of these will do (3.2.2).
TlsPolicy with_dane(TlsPolicy policy, const DaneFinding& finding,
                    const std::vector<std::string>& domains);

// The references must outlive the task.
Task<DaneFinding> find_dane(Network& network, const Exchanger& exchanger);

} // namespace postern::relay
