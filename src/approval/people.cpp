#include "approval/people.h"

#include <pwd.h>

#include <charconv>

namespace seatrial::approval {
namespace {

constexpr std::string_view uid_prefix = "uid:";
constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t entry_size = 16384;    // of the user database; ours are far smaller

std::optional<uid_t> number_of(std::string_view text) {
    uid_t uid = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), uid);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
        uid == static_cast<uid_t>(-1)) {
        return std::nullopt;
    }
    return uid;
}

}    // namespace

std::optional<uid_t> find_user(const std::string& name) {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(entry_size);
    if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr) {
        return std::nullopt;
    }
    return found->pw_uid;
}

std::string person_of(uid_t uid) {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(entry_size);
    if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
        return std::string(uid_prefix) + std::to_string(uid);
    }
    return std::string(unix_prefix) + found->pw_name;
}

std::optional<uid_t> uid_of_actor(const std::string& actor) {
    return actor.starts_with(uid_prefix)
               ? number_of(std::string_view(actor).substr(uid_prefix.size()))
               : std::nullopt;
}

std::vector<uid_t> users_among(const std::vector<std::string>& entries, const FindUser& find_user) {
    std::vector<uid_t> out;
    for (const auto& entry : entries) {
        auto uid = uid_of_actor(entry);
        if (!uid && entry.starts_with(unix_prefix)) {
            uid = find_user(entry.substr(unix_prefix.size()));
        }
        if (uid) {
            out.push_back(*uid);
        }
    }
    return out;
}

}    // namespace seatrial::approval
