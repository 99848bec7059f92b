// What domain names and local parts beyond US-ASCII are when they are compared (RFC 5890 to 5893,
// RFC 6531, RFC 6532). Pure.
//
// A domain is routed, compared, asked of the DNS and stored as A-labels ("xn--..."); a U-label is
// only another way to write one. A local part is passed on as it came, and compared in NFC.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern {

// The domain with A-labels in place of its labels that are not ASCII; these are first brought to
// lower case and NFC, and nothing else is mapped (RFC 5895 2.1 and 2.3): full-width letters, other
// dots, and what is sometimes left out are refused. ASCII labels, and with them dots at the end and
// '*', stay as they are. Nothing if a label is no U-label of IDNA 2008, or its A-label is longer
// than 63 octets. The result may still be no domain or too long for one.
std::optional<std::string> to_a_labels(std::string_view domain);

// Local parts and user names in the form in which they are compared: NFC, US-ASCII letters in lower
// case (others keep their case: folding would make names one that are not). What is no UTF-8 has
// its letters in lower case only.
std::string comparable_name(std::string_view name);

} // namespace postern
