#include "queue/fresh_contents.h"

namespace postern {

void FreshContents::keep(uint64_t message, std::string content) {
    if (content.size() + overhead > limit_)
        return;
    bytes_ += content.size() + overhead;
    ages_.emplace_back(message, std::move(content));
    places_[message] = std::prev(ages_.end());
    while (bytes_ > limit_)
        forget(ages_.front().first);
}

std::optional<std::string> FreshContents::take(uint64_t message) {
    const auto found = places_.find(message);
    if (found == places_.end())
        return std::nullopt;
    std::string content = std::move(found->second->second);
    bytes_ -= content.size() + overhead;
    ages_.erase(found->second);
    places_.erase(found);
    return content;
}

} // namespace postern
