// DNS messages for tests, from records as text.
#pragma once

#include <ldns/ldns.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern::test {

struct PacketText {
    std::string name; // of the question
    ldns_rr_type type = LDNS_RR_TYPE_A;
    std::vector<std::string> answer = {};
    ldns_pkt_rcode rcode = LDNS_RCODE_NOERROR;
    bool response = true;
    bool truncated = false;
};

inline ldns_rr* parse_record(const std::string& text) {
    ldns_rr* rr = nullptr;
    if (ldns_rr_new_frm_str(&rr, text.c_str(), 300, nullptr, nullptr) != LDNS_STATUS_OK)
        throw std::runtime_error("no such record: " + text);
    return rr;
}

inline std::string make_packet(const PacketText& text) {
    ldns_pkt* packet = ldns_pkt_new();
    ldns_pkt_set_qr(packet, text.response);
    ldns_pkt_set_tc(packet, text.truncated);
    ldns_pkt_set_rcode(packet, text.rcode);
    ldns_rr* question = ldns_rr_new();
    ldns_rr_set_question(question, true);
    ldns_rr_set_owner(question, ldns_dname_new_frm_str(text.name.c_str()));
    ldns_rr_set_type(question, text.type);
    ldns_rr_set_class(question, LDNS_RR_CLASS_IN);
    ldns_pkt_push_rr(packet, LDNS_SECTION_QUESTION, question);
    for (const std::string& record : text.answer)
        ldns_pkt_push_rr(packet, LDNS_SECTION_ANSWER, parse_record(record));
    uint8_t* wire = nullptr;
    size_t size = 0;
    if (ldns_pkt2wire(&wire, packet, &size) != LDNS_STATUS_OK)
        throw std::runtime_error("the packet cannot be written");
    std::string bytes(reinterpret_cast<char*>(wire), size);
    std::free(wire);
    ldns_pkt_free(packet);
    return bytes;
}

} // namespace postern::test
