#include "aws/credentials.h"

#include <algorithm>

#include "base/private_file.h"
#include "base/text.h"

namespace seatrial::aws {
namespace {

constexpr std::size_t file_limit = 256 << 10;
constexpr std::size_t value_limit = 16 << 10;

// They become part of headers.
bool is_sendable(std::string_view text) {
    return !text.empty() && text.size() <= value_limit &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

Result<Credentials> check_credentials(Credentials found, const std::string& where) {
    const std::string& token = found.session_token.reveal();
    if (!is_sendable(found.key_id) || found.key_id.find('/') != std::string::npos ||
        !is_sendable(found.secret.reveal()) || (!token.empty() && !is_sendable(token))) {
        return fail(Code::invalid, "the AWS credentials of " + where + " are not complete",
                    "both the access key's id and its secret are needed, each on one line");
    }
    return found;
}

std::string either(const std::string& first, const std::optional<std::string>& second,
                   const char* third) {
    return !first.empty() ? first : second && !second->empty() ? *second : third;
}

}    // namespace

Result<Credentials> parse_credentials(std::string_view text, std::string_view profile) {
    Credentials out;
    bool found = false;
    bool inside = false;
    for (const std::string_view raw : split(text, '\n')) {
        const std::string_view line = trim(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') {
            continue;
        }
        if (line.front() == '[') {
            inside = trim(line.substr(1, line.find(']') - 1)) == profile;
            found = found || inside;
            continue;
        }
        const auto equals = line.find('=');
        if (!inside || equals == std::string_view::npos) {
            continue;
        }
        const std::string_view name = trim(line.substr(0, equals));
        std::string value(trim(line.substr(equals + 1)));
        if (name == "aws_access_key_id") {
            out.key_id = std::move(value);
        } else if (name == "aws_secret_access_key") {
            out.secret = Secret(std::move(value));
        } else if (name == "aws_session_token") {
            out.session_token = Secret(std::move(value));
        }
    }
    const std::string where = "profile '" + printable(profile) + "'";
    if (!found) {
        return fail(Code::not_found, "the credentials file has no " + where,
                    "write [" + printable(profile) +
                        "] with aws_access_key_id and "
                        "aws_secret_access_key into it");
    }
    return check_credentials(std::move(out), where);
}

Result<Credentials> find_credentials(const std::string& profile, const std::filesystem::path& file,
                                     const Lookup& lookup) {
    const auto id = lookup("AWS_ACCESS_KEY_ID");
    const auto secret = lookup("AWS_SECRET_ACCESS_KEY");
    if (profile.empty() && file.empty() && id && !id->empty()) {
        return check_credentials(
            {*id, Secret(secret.value_or("")), Secret(lookup("AWS_SESSION_TOKEN").value_or(""))},
            "the daemon's environment");
    }
    const std::filesystem::path home =
        std::filesystem::path(lookup("HOME").value_or("/nonexistent")) / ".aws/credentials";
    const std::filesystem::path from =
        either(file.string(), lookup("AWS_SHARED_CREDENTIALS_FILE"), home.c_str());
    auto text = read_private_file(from, file_limit);
    if (!text) {
        Error error = text.error();
        error.message = "the AWS credentials: " + error.message;
        error.hint = error.code == Code::refused
                         ? error.hint
                         : "give the daemon AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
                           "credentials_file of mode 0600 that is its user's";
        return tl::unexpected(std::move(error));
    }
    return parse_credentials(*text, either(profile, lookup("AWS_PROFILE"), "default"));
}

}    // namespace seatrial::aws
