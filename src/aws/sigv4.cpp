#include "aws/sigv4.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "crypto/crypto.h"
#include "net/url.h"

namespace seatrial::aws {
namespace {

constexpr const char* algorithm = "AWS4-HMAC-SHA256";

// "20150830T123600Z"
std::string compact(WallTime at) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
    const auto day = std::chrono::floor<std::chrono::days>(seconds);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(seconds - day);
    char text[40];
    std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    return text;
}

// Runs of blanks count as one.
std::string collapse(std::string_view text) {
    std::string out;
    for (const char c : trim(text)) {
        if (c != ' ' || out.empty() || out.back() != ' ') {
            out += c;
        }
    }
    return out;
}

std::string canonical_query(const Pairs& query) {
    Pairs escaped;
    for (const auto& [name, value] : query) {
        escaped.emplace_back(net::escape_url(name), net::escape_url(value));
    }
    std::ranges::sort(escaped);
    std::string out;
    for (const auto& [name, value] : escaped) {
        out += (out.empty() ? "" : "&") + name + "=" + value;
    }
    return out;
}

std::string hmac(const Secret& key, std::string_view text) {
    const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    const std::string hex = crypto::hmac_sha256_hex(key, text);
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        out += static_cast<char>(value(hex[i]) * 16 + value(hex[i + 1]));
    }
    return out;
}

Secret signing_key(const Credentials& credentials, const std::string& date,
                   const std::string& region, const std::string& service) {
    Secret key("AWS4" + credentials.secret.reveal());
    for (const std::string& part : {date, region, service, std::string("aws4_request")}) {
        key = Secret(hmac(key, part));
    }
    return key;
}

}    // namespace

Pairs sign(const Signable& request, const Credentials& credentials, const std::string& region,
           const std::string& service, WallTime at) {
    const std::string time = compact(at);
    Pairs added = {{"x-amz-date", time}};
    if (!credentials.session_token.empty()) {
        added.emplace_back("x-amz-security-token", credentials.session_token.reveal());
    }
    Pairs headers = request.headers;
    headers.insert(headers.end(), added.begin(), added.end());
    headers.emplace_back("host", request.host);
    std::ranges::sort(headers);
    std::string lines;
    std::string names;
    for (const auto& [name, value] : headers) {
        lines += name + ":" + collapse(value) + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    // The path is escaped once more than it is sent: so it is for all services but S3.
    const std::string canonical = request.method + "\n" + net::escape_url(request.path, true) +
                                  "\n" + canonical_query(request.query) + "\n" + lines + "\n" +
                                  names + "\n" + crypto::sha256_hex(request.body);
    const std::string date = time.substr(0, 8);
    const std::string scope = date + "/" + region + "/" + service + "/aws4_request";
    const std::string text =
        std::string(algorithm) + "\n" + time + "\n" + scope + "\n" + crypto::sha256_hex(canonical);
    const std::string signature =
        crypto::hmac_sha256_hex(signing_key(credentials, date, region, service), text);
    added.emplace_back("authorization",
                       std::string(algorithm) + " Credential=" + credentials.key_id + "/" + scope +
                           ", SignedHeaders=" + names + ", Signature=" + signature);
    return added;
}

}    // namespace seatrial::aws
