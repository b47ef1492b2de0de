#include "crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include <cerrno>
#include <limits>
#include <span>

#include "base/result.h"

namespace seatrial::crypto {
namespace {

std::string to_hex(std::span<const unsigned char> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const unsigned char byte : bytes) {
        hex += digits[byte >> 4];
        hex += digits[byte & 15];
    }
    return hex;
}

void fill_random(std::span<unsigned char> out) {
    while (!out.empty()) {
        const ssize_t got = ::getrandom(out.data(), out.size(), 0);
        if (got < 0) {
            check(errno == EINTR, "getrandom");
            continue;
        }
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

}    // namespace

struct Sha256::Impl {
    Impl() { start(); }
    ~Impl() { ::EVP_MD_CTX_free(ctx); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    void start() {
        check(ctx != nullptr && ::EVP_DigestInit_ex(ctx, ::EVP_sha256(), nullptr) == 1,
              "sha256 init");
    }
    EVP_MD_CTX* ctx = ::EVP_MD_CTX_new();
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&& other) noexcept = default;
Sha256& Sha256::operator=(Sha256&& other) noexcept = default;

void Sha256::update(std::string_view text) {
    check(::EVP_DigestUpdate(impl_->ctx, text.data(), text.size()) == 1, "sha256 update");
}

void Sha256::update_field(std::string_view text) {
    update(std::to_string(text.size()));
    update(":");
    update(text);
}

std::string Sha256::finish_hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    check(::EVP_DigestFinal_ex(impl_->ctx, digest, &size) == 1, "sha256 final");
    impl_->start();
    return to_hex({digest, size});
}

std::string sha256_hex(std::string_view text) {
    Sha256 hash;
    hash.update(text);
    return hash.finish_hex();
}

std::string hmac_sha256_hex(const Secret& key, std::string_view text) {
    const std::string& raw = key.reveal();
    check(raw.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()), "hmac key");
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    // An unsigned view of the text is what the C interface wants.
    const auto* data = static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
    check(::HMAC(::EVP_sha256(), raw.data(), static_cast<int>(raw.size()), data, text.size(),
                 digest, &size) != nullptr,
          "hmac");
    return to_hex({digest, size});
}

std::uint64_t random_u64() {
    unsigned char bytes[sizeof(std::uint64_t)];
    fill_random(bytes);
    std::uint64_t value = 0;
    for (const unsigned char byte : bytes) {
        value = value << 8 | byte;
    }
    return value;
}

std::string random_hex(std::size_t bytes) {
    std::string raw(bytes, '\0');
    auto* data = static_cast<unsigned char*>(static_cast<void*>(raw.data()));
    fill_random({data, bytes});
    return to_hex({data, bytes});
}

namespace {

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}    // namespace

std::string base64url(std::string_view bytes) {
    std::string out;
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (const char byte : bytes) {
        bits = (bits << 8U) | static_cast<unsigned char>(byte);
        for (held += 8; held >= 6; held -= 6) {
            out += base64_digits[(bits >> (held - 6)) & 63U];
        }
    }
    if (held > 0) {
        out += base64_digits[(bits << (6 - held)) & 63U];
    }
    out.append((4 - out.size() % 4) % 4, '=');
    return out;
}

std::optional<std::string> parse_base64url(std::string_view text) {
    std::string out;
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (const char digit : text.substr(0, text.find('='))) {
        const auto value = base64_digits.find(digit);
        if (value == std::string_view::npos) {
            return std::nullopt;
        }
        bits = (bits << 6U) | static_cast<std::uint32_t>(value);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>((bits >> held) & 255U);
        }
    }
    // One way alone to write it: no other padding, no bits left over.
    return base64url(out) == text ? std::optional(out) : std::nullopt;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}    // namespace seatrial::crypto
