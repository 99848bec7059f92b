// The content of a message on its way out: read from the front as often as it has to be sent, a
// bounded piece at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"

namespace postern::relay {

class ContentSource {
  public:
    virtual ~ContentSource() = default;
    virtual uint64_t size() const = 0; // octets, in CRLF form and without dot-stuffing
    // To the start again.
    virtual void rewind() = 0;
    // The next piece, valid until the next call; empty at the end.
    virtual Result<std::string_view> read() = 0;
};

class MemoryContent final : public ContentSource {
  public:
    explicit MemoryContent(std::string bytes) : bytes_(std::move(bytes)) {}
    uint64_t size() const override { return bytes_.size(); }
    void rewind() override { position_ = 0; }
    Result<std::string_view> read() override;

  private:
    std::string bytes_;
    size_t position_ = 0;
};

// A part of a file. One that is shorter than promised is an error, not a shorter message.
class FileContent final : public ContentSource {
  public:
    FileContent(FileDescriptor file, uint64_t offset, uint64_t length)
        : file_(std::move(file)), offset_(offset), length_(length) {}
    uint64_t size() const override { return length_; }
    void rewind() override { position_ = 0; }
    Result<std::string_view> read() override;

  private:
    FileDescriptor file_;
    uint64_t offset_;
    uint64_t length_;
    uint64_t position_ = 0; // from `offset_`
    std::string buffer_;
};

// Whether an octet over 127 is among the first `length`. What cannot be read has none: sending it
// will fail with the reason. The content is to be rewound.
bool is_eight_bit(ContentSource& content, uint64_t length);

} // namespace postern::relay
