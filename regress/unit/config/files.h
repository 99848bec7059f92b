// A file system of a few texts, for includes and tables.
#pragma once

#include <cerrno>
#include <map>
#include <string>

#include "common/base/result.h"
#include "common/config/parse.h"

namespace postern::test {

class Files {
  public:
    Files() = default;
    explicit Files(std::map<std::string, std::string> texts) : texts_(std::move(texts)) {}

    FileReader reader() const {
        return [this](const std::string& path) -> Result<std::string> {
            const auto text = texts_.find(path);
            if (text == texts_.end())
                return system_error(path, ENOENT);
            return text->second;
        };
    }

  private:
    std::map<std::string, std::string> texts_;
};

} // namespace postern::test
