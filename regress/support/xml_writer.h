// JUnit's XML, as CMocka 1.1.5 writes it, but always well-formed: what XML cannot hold is replaced.
#pragma once

#include <functional>
#include <ostream>

#include "regress/support/test_report.h"

namespace postern::test {

class XmlWriter : public ReportWriter {
  public:
    // `deliver` gets the finished document and the group's name, once, when the group has ended.
    using Deliver = std::function<void(const std::string& group, const std::string& document)>;
    explicit XmlWriter(Deliver deliver) : deliver_(std::move(deliver)) {}

    void group_begins(size_t) override {}
    void test_begins(const std::string&) override {}
    void test_ends(const TestReport&) override {}
    void group_ends(const GroupReport& group) override;

  private:
    Deliver deliver_;
};

// The whole document.
std::string xml_document(const GroupReport& group);

} // namespace postern::test
