#include "common/base/secret.h"

#include <cstring>
#include <utility>

namespace postern {

void wipe(std::string& text) {
    text.resize(text.capacity()); // within the capacity: nothing moves
    explicit_bzero(text.data(), text.size());
    text.clear();
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this == &other)
        return *this;
    // A short string lives inside the object: swapping leaves none of it behind.
    wipe(text_);
    text_.swap(other.text_);
    wipe(other.text_);
    return *this;
}

Secret Secret::take(std::string& text) {
    Secret secret;
    secret.text_.swap(text);
    wipe(text);
    return secret;
}

} // namespace postern
