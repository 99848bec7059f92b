// See cmocka_output.h.
#include "regress/support/cmocka_output.h"

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include <iostream>

#include "regress/support/stdout_writer.h"
#include "regress/support/subunit_writer.h"
#include "regress/support/tap_writer.h"
#include "regress/support/xml_writer.h"

namespace postern::test {

std::optional<Format> format_of(const std::string& name) {
    static constexpr std::pair<const char*, Format> formats[] = {
        {"STDOUT", Format::standard_output},
        {"TAP", Format::tap},
        {"SUBUNIT", Format::subunit},
        {"XML", Format::xml}};
    for (auto [known, format] : formats)
        if (strcasecmp(known, name.c_str()) == 0)
            return format;
    return std::nullopt;
}

std::string xml_path(const std::string& xml_file, const std::string& group) {
    std::string path = xml_file;
    for (size_t at = path.find("%g"); at != std::string::npos;
         at = path.find("%g", at + group.size()))
        path.replace(at, 2, group);
    return path;
}

bool write_new_file(const std::string& path, const std::string& document) {
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    size_t written = 0;
    while (written < document.size()) {
        ssize_t n = write(fd, document.data() + written, document.size() - written);
        if (n < 0)
            break;
        written += static_cast<size_t>(n);
    }
    return close(fd) == 0 && written == document.size();
}

std::unique_ptr<ReportWriter> make_writer(Format format, const std::string& xml_file) {
    switch (format) {
    case Format::standard_output:
        return std::make_unique<StdoutWriter>(std::cout, std::cerr);
    case Format::tap:
        return std::make_unique<TapWriter>(std::cout);
    case Format::subunit:
        return std::make_unique<SubunitWriter>(std::cout);
    case Format::xml:
        break;
    }
    return std::make_unique<XmlWriter>([xml_file](const auto& group, const auto& document) {
        if (xml_file.empty() || !write_new_file(xml_path(xml_file, group), document))
            std::cout << document << std::flush;
    });
}

} // namespace postern::test
