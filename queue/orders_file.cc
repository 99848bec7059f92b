#include "queue/orders_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "common/base/crc32c.h"

namespace postern {

namespace {

constexpr const char* name = "orders";
constexpr const char* new_name = "orders.new";
constexpr const char* damaged_name = "corrupt/orders";
constexpr uint8_t known_format = 1;
constexpr size_t checksum_size = 4;       // bytes, in front
constexpr uint64_t size_limit = 1u << 20; // bytes

std::string checksum_of(std::string_view bytes) {
    const uint32_t checksum = crc32c(bytes);
    std::string text(checksum_size, '\0');
    std::memcpy(text.data(), &checksum, checksum_size);
    return text;
}

Result<std::string> read_all(FileSystem& files) {
    auto file = files.open(name, OpenMode::Read);
    if (!file)
        return file.error();
    const Result<uint64_t> size = (*file)->size();
    if (!size)
        return size.error();
    if (*size > size_limit)
        return Error{"it is too long", EBADMSG};
    std::string bytes(*size, '\0');
    const Result<size_t> read = (*file)->read_at(0, bytes);
    if (!read)
        return read.error();
    bytes.resize(*read);
    return bytes;
}

Result<SavedOrders> decode(const std::string& bytes) {
    if (bytes.size() < checksum_size ||
        bytes.substr(0, checksum_size) !=
            checksum_of(std::string_view(bytes).substr(checksum_size)))
        return Error{"its checksum is wrong", EBADMSG};
    SavedOrders orders;
    if (static_cast<uint8_t>(bytes[checksum_size]) != known_format ||
        !ipc::decode_bytes(std::string_view(bytes).substr(checksum_size), orders))
        return Error{"its format is unknown", EBADMSG};
    return orders;
}

Result<SavedOrders> read_once(FileSystem& files) {
    Result<std::string> bytes = read_all(files);
    return bytes ? decode(*bytes) : Result<SavedOrders>(bytes.error());
}

} // namespace

Result<SavedOrders> read_orders(FileSystem& files) {
    Result<SavedOrders> orders = read_once(files);
    if (!orders && orders.error().code == EBADMSG)
        orders = read_once(files); // it may have been the way here that was bad
    if (!orders && orders.error().code == ENOENT)
        return SavedOrders();
    if (!orders && orders.error().code == EBADMSG && files.rename(name, damaged_name).ok())
        (void)files.sync_directory("");
    return orders;
}

Result<void> write_orders(FileSystem& files, const SavedOrders& orders) {
    const std::string bytes = ipc::encode_bytes(orders);
    const std::string checksum = checksum_of(bytes);
    if (Result<void> removed = files.unlink(new_name); !removed && removed.error().code != ENOENT)
        return removed; // what a crash has left
    auto file = files.open(new_name, OpenMode::CreateNew);
    if (!file)
        return file.error();
    const std::array<std::string_view, 2> pieces{checksum, bytes};
    if (Result<void> written = (*file)->write_at(0, pieces, true); !written)
        return written;
    if (Result<void> renamed = files.rename(new_name, name); !renamed)
        return renamed;
    return files.sync_directory("");
}

} // namespace postern
