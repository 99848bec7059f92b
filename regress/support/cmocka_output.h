// The choice of an output format through CMocka's environment variables, so that a harness made for
// CMocka can read GoogleTest programs:
//   CMOCKA_MESSAGE_OUTPUT  STDOUT, TAP, SUBUNIT or XML in any case; anything else: GoogleTest's own
//   CMOCKA_XML_FILE        where XML goes; "%g" stands for the group's name
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "regress/support/test_report.h"

namespace postern::test {

enum class Format { standard_output, tap, subunit, xml };

// The format of this name; none if there is none.
std::optional<Format> format_of(const std::string& name);

// A writer to standard output and standard error. `xml_file`: CMOCKA_XML_FILE, empty if not set.
std::unique_ptr<ReportWriter> make_writer(Format format, const std::string& xml_file);

// Where the group's XML goes: `xml_file` with each "%g" replaced.
std::string xml_path(const std::string& xml_file, const std::string& group);

// Creates the file and writes the document into it. An existing file is left as it is, and false is
// returned, as when it cannot be created: the caller then writes to standard output.
bool write_new_file(const std::string& path, const std::string& document);

} // namespace postern::test
