// The one encoder and decoder of everything that passes between processes.
//
// A message is a plain struct with a compile-time list of its fields:
//
//     struct Durable {
//         uint32_t request = 0;
//         MessageId id;
//         static constexpr auto fields(auto& m) { return std::tie(m.request, m.id); }
//     };
//
// Integers are little-endian and of fixed size, strings and vectors are counted, descriptors travel
// beside the bytes. The decoder trusts nothing: unknown enumerators, booleans other than 0 and 1,
// short or trailing bytes, oversized strings and vectors, and missing or surplus descriptors are
// errors, and end the channel that they came from.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/secret.h"

namespace postern::ipc {

// The longest ordinary string in a message, in bytes. Content travels as a Blob.
inline constexpr size_t string_limit = 64 * 1024;

// Bytes bounded only by the packet (or the memory file) that carries them.
struct Blob {
    std::string bytes;
    bool operator==(const Blob&) const = default;
};

// What is encoded to be sent.
struct Packet {
    // Of a blob, to be sent from where they are.
    struct Aside {
        size_t position; // in `bytes`, which go on behind it
        std::string blob;
    };

    std::string bytes;
    std::vector<Aside> asides;
    std::vector<FileDescriptor> descriptors;

    size_t size() const {
        size_t sum = bytes.size();
        for (const Aside& aside : asides)
            sum += aside.blob.size();
        return sum;
    }
};
// A blob of less is copied among the others.
inline constexpr size_t least_aside = 2048;

template <class T>
concept Message = requires(T& m) {
    T::fields(m);
};

// An enumeration says which of its values is the last: `constexpr Kind last_enumerator(Kind)`,
// found by argument-dependent lookup. Values are consecutive from 0.
template <class T>
concept CheckedEnum = std::is_enum_v<T> && requires(T e) {
    last_enumerator(e);
};

template <class T> struct IsVector : std::false_type {};
template <class T> struct IsVector<std::vector<T>> : std::true_type {};
template <class T> struct IsOptional : std::false_type {};
template <class T> struct IsOptional<std::optional<T>> : std::true_type {};
template <class T> struct IsVariant : std::false_type {};
template <class... T> struct IsVariant<std::variant<T...>> : std::true_type {};
template <class T> struct IsMap : std::false_type {};
template <class K, class V> struct IsMap<std::map<K, V>> : std::true_type {};
template <class T> struct IsDuration : std::false_type {};
template <class R, class P> struct IsDuration<std::chrono::duration<R, P>> : std::true_type {};

class Encoder {
  public:
    // Appends to `bytes`; descriptors are moved to `descriptors` in the order of the fields.
    Encoder(std::string& bytes, std::vector<FileDescriptor>& descriptors)
        : bytes_(bytes), descriptors_(descriptors) {}
    // The same; large blobs are moved aside.
    explicit Encoder(Packet& packet)
        : bytes_(packet.bytes), descriptors_(packet.descriptors), asides_(&packet.asides) {}

    template <class T> void put(T& value) {
        using V = std::remove_const_t<T>;
        if constexpr (std::is_same_v<V, bool>) {
            bytes_.push_back(value ? 1 : 0);
        } else if constexpr (std::is_integral_v<V>) {
            put_integer(value);
        } else if constexpr (CheckedEnum<V>) {
            static_assert(sizeof(V) == 1 || sizeof(V) == 4);
            put_integer(static_cast<uint8_t>(value));
        } else if constexpr (std::is_same_v<V, std::string>) {
            put_string(value);
        } else if constexpr (std::is_same_v<V, Blob>) {
            put_blob(value);
        } else if constexpr (std::is_same_v<V, Secret>) {
            put_string(value.view());
        } else if constexpr (std::is_same_v<V, FileDescriptor>) {
            static_assert(!std::is_const_v<T>, "a descriptor is moved out of its message");
            descriptors_.push_back(std::move(value));
        } else if constexpr (IsDuration<V>::value) {
            put_integer(static_cast<int64_t>(value.count()));
        } else if constexpr (IsOptional<V>::value) {
            bytes_.push_back(value ? 1 : 0);
            if (value)
                put(*value);
        } else if constexpr (IsVector<V>::value) {
            put_integer(static_cast<uint32_t>(value.size()));
            for (auto& element : value)
                put(element);
        } else if constexpr (IsMap<V>::value) {
            put_integer(static_cast<uint32_t>(value.size()));
            for (auto& [key, element] : value) {
                put(key);
                put(element);
            }
        } else if constexpr (IsVariant<V>::value) {
            bytes_.push_back(static_cast<char>(value.index()));
            std::visit([this](auto& alternative) { put(alternative); }, value);
        } else {
            static_assert(Message<V>, "a field of a type that the codec does not know");
            std::apply([this](auto&... field) { (put(field), ...); }, V::fields(value));
        }
    }

  private:
    template <class I> void put_integer(I value) {
        auto bits = static_cast<std::make_unsigned_t<I>>(value);
        char raw[sizeof bits];
        std::memcpy(raw, &bits, sizeof bits); // all our targets are little-endian
        bytes_.append(raw, sizeof raw);
    }
    void put_string(std::string_view value) {
        put_integer(static_cast<uint32_t>(value.size()));
        bytes_.append(value);
    }
    template <class B> void put_blob(B& blob) {
        if constexpr (!std::is_const_v<B>) {
            if (asides_ && blob.bytes.size() >= least_aside) {
                put_integer(static_cast<uint32_t>(blob.bytes.size()));
                asides_->push_back({bytes_.size(), std::move(blob.bytes)});
                return;
            }
        }
        put_string(blob.bytes);
    }

    std::string& bytes_;
    std::vector<FileDescriptor>& descriptors_;
    std::vector<Packet::Aside>* asides_ = nullptr;
};

class Decoder {
  public:
    // `descriptors` are consumed from `next_descriptor` on.
    Decoder(std::string_view bytes, std::vector<FileDescriptor>& descriptors,
            size_t next_descriptor = 0)
        : bytes_(bytes), descriptors_(descriptors), next_descriptor_(next_descriptor) {}

    // False when the bytes are not such a value; the decoder is of no use after that.
    template <class T> bool get(T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            uint8_t byte = 0;
            if (!get_integer(byte) || byte > 1)
                return false;
            value = byte == 1;
            return true;
        } else if constexpr (std::is_integral_v<T>) {
            return get_integer(value);
        } else if constexpr (CheckedEnum<T>) {
            uint8_t byte = 0;
            if (!get_integer(byte) || byte > static_cast<uint8_t>(last_enumerator(T{})))
                return false;
            value = static_cast<T>(byte);
            return true;
        } else if constexpr (std::is_same_v<T, std::string>) {
            return get_string(value, string_limit);
        } else if constexpr (std::is_same_v<T, Blob>) {
            return get_string(value.bytes, bytes_.size());
        } else if constexpr (std::is_same_v<T, Secret>) {
            std::string_view text;
            if (!get_view(text, string_limit))
                return false;
            value = Secret(text);
            return true;
        } else if constexpr (std::is_same_v<T, FileDescriptor>) {
            if (next_descriptor_ >= descriptors_.size())
                return false;
            value = std::move(descriptors_[next_descriptor_++]);
            return true;
        } else if constexpr (IsDuration<T>::value) {
            int64_t count = 0;
            if (!get_integer(count))
                return false;
            value = T(count);
            return true;
        } else if constexpr (IsOptional<T>::value) {
            bool present = false;
            if (!get(present))
                return false;
            if (!present) {
                value.reset();
                return true;
            }
            return get(value.emplace());
        } else if constexpr (IsVector<T>::value) {
            uint32_t count = 0;
            // Every element takes a byte at least (a descriptor none), so a count cannot make us
            // allocate more than a small multiple of what was sent.
            if (!get_integer(count) || count > bytes_.size() + descriptors_.size())
                return false;
            value.clear();
            for (uint32_t i = 0; i < count; ++i)
                if (!get(value.emplace_back()))
                    return false;
            return true;
        } else if constexpr (IsMap<T>::value) {
            uint32_t count = 0;
            if (!get_integer(count) || count > bytes_.size())
                return false;
            value.clear();
            for (uint32_t i = 0; i < count; ++i) {
                typename T::key_type key;
                typename T::mapped_type element;
                if (!get(key) || !get(element))
                    return false;
                if (!value.emplace(std::move(key), std::move(element)).second)
                    return false;
            }
            return true;
        } else if constexpr (IsVariant<T>::value) {
            uint8_t index = 0;
            return get_integer(index) && get_alternative<0>(value, index);
        } else {
            static_assert(Message<T>, "a field of a type that the codec does not know");
            return std::apply([this](auto&... field) { return (get(field) && ...); },
                              T::fields(value));
        }
    }

    bool at_end() const { return bytes_.empty(); }
    size_t next_descriptor() const { return next_descriptor_; }

  private:
    template <class I> bool get_integer(I& value) {
        if (bytes_.size() < sizeof value)
            return false;
        std::memcpy(&value, bytes_.data(), sizeof value);
        bytes_.remove_prefix(sizeof value);
        return true;
    }
    bool get_string(std::string& value, size_t limit) {
        std::string_view text;
        if (!get_view(text, limit))
            return false;
        value = text;
        return true;
    }
    bool get_view(std::string_view& text, size_t limit) {
        uint32_t size = 0;
        if (!get_integer(size) || size > bytes_.size() || size > limit)
            return false;
        text = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return true;
    }
    template <size_t I, class V> bool get_alternative(V& value, size_t index) {
        if constexpr (I < std::variant_size_v<V>) {
            if (index == I)
                return get(value.template emplace<I>());
            return get_alternative<I + 1>(value, index);
        } else {
            return false;
        }
    }

    std::string_view bytes_;
    std::vector<FileDescriptor>& descriptors_;
    size_t next_descriptor_;
};

// The whole of `value` as bytes, for a file or a memory file; it may hold no descriptors.
template <class T> std::string encode_bytes(const T& value) {
    std::string bytes;
    std::vector<FileDescriptor> descriptors;
    Encoder(bytes, descriptors).put(value);
    return bytes;
}

// False unless `bytes` are exactly one T.
template <class T> bool decode_bytes(std::string_view bytes, T& value) {
    std::vector<FileDescriptor> descriptors;
    Decoder decoder(bytes, descriptors);
    return decoder.get(value) && decoder.at_end();
}

} // namespace postern::ipc
