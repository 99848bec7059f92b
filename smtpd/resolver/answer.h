// Reads the answer of the DNS: packet in, records out. Pure; whatever the bytes are, the result is
// a valid answer.
#pragma once

#include <string_view>

#include "common/ipc/resolution.h"
#include "smtpd/resolver/question.h"

namespace postern {

// Records of one answer that are passed on, in the packet's order; more are left out.
inline constexpr size_t answer_record_limit = 100;
// CNAMEs that are followed within the packet.
inline constexpr int alias_limit = 16;

// Takes the answer to `question` from a DNS message in wire form: the CNAMEs from the question's
// name are followed within the packet, and records of the wanted type at their end are taken.
//
// Names are lower-cased, without trailing dot. Records whose host name (MX, PTR, CNAME) is none,
// such as one with a space in it, are dropped; the root, of a Null MX (RFC 7505), is the empty
// name. Where only such records were found the answer is `temporary`, not `no_data`: an MX that
// cannot be used does not mean that the domain has none (RFC 5321 5.1).
//
// `request` and `secure` are left to the caller. What is no answer to this question (damaged,
// truncated, another question, a loop of CNAMEs, an error code) is `temporary`.
ipc::ResolveAnswer parse_answer(std::string_view wire, const DnsQuestion& question);

} // namespace postern
