// Looking at the reports that the queue hands out, for tests.
#pragma once

#include "regress/unit/queue/queue_lab.h"

namespace postern::test {

// Of a delivery whose content travels inside it.
inline std::string content_of(const Handed& handed) {
    const ipc::Deliver& deliver = handed.deliver;
    if (deliver.file.empty())
        return deliver.content.bytes;
    std::string content(deliver.file_length, '\0');
    const ssize_t got = pread(deliver.file[0].get(), content.data(), content.size(),
                              static_cast<off_t>(deliver.file_offset));
    content.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return content;
}

// What a report says with this field, in order: "Action", "Status".
inline std::vector<std::string> fields_of(const Handed& handed, const std::string& name) {
    const std::string content = content_of(handed);
    const std::string start = "\r\n" + name + ": ";
    std::vector<std::string> values;
    for (size_t at = content.find(start); at != std::string::npos; at = content.find(start, at)) {
        at += start.size();
        values.push_back(content.substr(at, content.find("\r\n", at) - at));
    }
    return values;
}

inline std::vector<std::string> actions_of(const Handed& handed) {
    return fields_of(handed, "Action");
}

} // namespace postern::test
