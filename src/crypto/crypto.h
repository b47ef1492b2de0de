// Digests, message codes and randomness over OpenSSL 3. The only folder on its level that
// includes OpenSSL. Failure of the library on valid input is a broken invariant: it aborts.
// Thread: free functions from any thread; a Sha256 belongs to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace seatrial::crypto {

// SHA-256 of text that arrives in pieces.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&& other) noexcept;
    Sha256& operator=(Sha256&& other) noexcept;
    void update(std::string_view text);
    // Adds the length before the text, so that ("ab","c") and ("a","bc") differ.
    void update_field(std::string_view text);
    // 64 lower-case hex digits; the object starts anew.
    std::string finish_hex();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

std::string sha256_hex(std::string_view text);
std::string hmac_sha256_hex(const Secret& key, std::string_view text);

// From the kernel (getrandom), never predictable.
std::uint64_t random_u64();
// 2 * `bytes` lower-case hex digits.
std::string random_hex(std::size_t bytes);

// RFC 4648, section 5, with its padding.
std::string base64url(std::string_view bytes);
// The bytes again; nullopt when it is no such text.
std::optional<std::string> parse_base64url(std::string_view text);

// Takes the same time wherever the difference is; the lengths are not secret.
bool constant_time_equal(std::string_view a, std::string_view b);

}    // namespace seatrial::crypto
