// Text that must not stay behind in memory: a password. It is overwritten when it is no longer
// needed, cannot be copied by accident, and has no way into a log line.
#pragma once

#include <string>
#include <string_view>

namespace postern {

// Overwrites `text`, unused capacity included, and empties it.
void wipe(std::string& text);

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string_view text) : text_(text) {}
    Secret(Secret&& other) noexcept { *this = std::move(other); }
    Secret& operator=(Secret&& other) noexcept;
    ~Secret() { wipe(text_); }

    // Takes `text` over and leaves nothing of it there.
    static Secret take(std::string& text);
    // In the few places where two holders are needed.
    Secret copy() const { return Secret(view()); }

    std::string_view view() const { return text_; }
    const char* c_str() const { return text_.c_str(); }
    size_t size() const { return text_.size(); }
    bool empty() const { return text_.empty(); }

  private:
    std::string text_;
};

} // namespace postern
