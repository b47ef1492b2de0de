#include "docker/registries.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/crypto.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

// What clients have called Docker Hub ever since.
std::string key_of(const RegistryLogin& login) {
    return login.server == "docker.io" ? "https://index.docker.io/v1/" : login.server;
}

// With the digits of RFC 4648, section 4.
std::string base64(std::string_view bytes) {
    std::string out = crypto::base64url(bytes);
    std::ranges::replace(out, '-', '+');
    std::ranges::replace(out, '_', '/');
    return out;
}

}    // namespace

std::string registry_of(const std::string& image) {
    const auto slash = image.find('/');
    const std::string first = slash == std::string::npos ? "" : image.substr(0, slash);
    const bool host = first == "localhost" || first.find_first_of(".:") != std::string::npos;
    return !host || first == "index.docker.io" ? "docker.io" : first;
}

const RegistryLogin* login_for(const Logins& logins, const std::string& image) {
    const auto found = std::ranges::find(logins, registry_of(image), &RegistryLogin::server);
    return found == logins.end() ? nullptr : &*found;
}

Secret registry_config(const Logins& logins) {
    json out = json::object();
    for (const auto& login : logins) {
        out[key_of(login)] = {{"username", login.user}, {"password", login.password.reveal()}};
    }
    return Secret(out.dump(-1, ' ', false, json::error_handler_t::replace));
}

Secret cli_config(const Logins& logins) {
    json auths = json::object();
    for (const auto& login : logins) {
        auths[key_of(login)] = {{"auth", base64(login.user + ":" + login.password.reveal())}};
    }
    return Secret(json{{"auths", auths}}.dump());
}

}    // namespace seatrial::docker
