#include "release/compare.h"

#include <algorithm>
#include <set>

#include "admit/admit.h"
#include "base/text.h"
#include "release/variables.h"

namespace seatrial::release {
namespace {

struct Scheme {
    std::string_view name;
    std::string_view port;
};
constexpr Scheme schemes[] = {
    {"postgres", "5432"}, {"postgresql", "5432"}, {"mysql", "3306"},
    {"mysql2", "3306"},   {"mariadb", "3306"},    {"mongodb", "27017"},
    {"mongodb+srv", ""},  {"sqlserver", "1433"},  {"cockroachdb", "26257"},
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    return out;
}

bool is_declared(const config::Environment& to, const std::string& name) {
    return std::ranges::any_of(to.release.may_differ, [&](const std::string& pattern) {
        return admit::matches_glob(pattern, name);
    });
}

bool takes_releases(const config::Environment& environment) {
    return !environment.release.listen.empty();
}

}    // namespace

Result<std::vector<std::string>> differences(const config::Environment& from,
                                             const config::Environment& to, Reader& reader) {
    TRY_ASSIGN(const Variables* other, reader.of(from));
    TRY_ASSIGN(const Variables* own, reader.of(to));
    const auto& there = other->values;
    const auto& here = own->values;
    std::set<std::string> out;
    for (const auto& [name, variable] : there) {
        const auto found = here.find(name);
        if (found == here.end()) {
            out.insert(name + " is only in " + from.name);
        } else if (found->second.value.reveal() != variable.value.reveal() &&
                   !is_declared(to, name)) {
            out.insert(name + " has another value in " + to.name + " than in " + from.name);
        }
    }
    for (const auto& [name, variable] : here) {
        if (!there.contains(name)) {
            out.insert(name + " is only in " + to.name);
        }
    }
    return std::vector<std::string>(out.begin(), out.end());
}

std::string database_of(std::string_view url) {
    const auto colon = url.find("://");
    if (colon == std::string_view::npos) {
        return "";
    }
    // "postgresql+psycopg://", "jdbc:postgresql://"
    std::string scheme = lower(url.substr(0, colon));
    if (scheme.starts_with("jdbc:")) {
        scheme = scheme.substr(5);
    }
    const auto* known = std::ranges::find(schemes, scheme, &Scheme::name);
    if (known == std::end(schemes)) {
        known = std::ranges::find(schemes, scheme.substr(0, scheme.find('+')), &Scheme::name);
    }
    if (known == std::end(schemes)) {
        return "";
    }
    url = url.substr(colon + 3);
    url = url.substr(0, url.find_first_of("?#;"));
    const auto slash = url.find('/');
    std::string_view host = url.substr(0, slash);
    std::string_view name = slash == std::string_view::npos ? "" : url.substr(slash + 1);
    if (const auto at = host.rfind('@'); at != std::string_view::npos) {
        host = host.substr(at + 1);
    }
    while (name.ends_with('/')) {
        name.remove_suffix(1);
    }
    std::string place = lower(host);
    const auto bracket = place.find(']');
    if (place.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos) {
        place += ":" + std::string(known->port);
    }
    if (place.starts_with("127.0.0.1:") || place.starts_with("[::1]:")) {
        place = "localhost" + place.substr(place.rfind(':'));
    }
    return place + "/" + std::string(name);
}

Result<std::vector<Shared>> shared_databases(const config::Server& server,
                                             const config::Environment& environment,
                                             Reader& reader) {
    std::vector<Shared> out;
    TRY_ASSIGN(const Variables* here, reader.of(environment));
    for (const auto& [env, other] : server.environments) {
        if (env == environment.name || !takes_releases(other)) {
            continue;
        }
        const auto there = reader.of(other);
        if (!there) {
            out.push_back({env, "", there.error().message});
            continue;
        }
        std::set<std::string> databases;
        for (const auto& [name, variable] : (*there)->values) {
            databases.insert(database_of(variable.value.reveal()));
        }
        databases.erase("");
        for (const auto& [name, variable] : here->values) {
            if (databases.contains(database_of(variable.value.reveal()))) {
                out.push_back({env, name});
                break;
            }
        }
    }
    return out;
}

Result<std::vector<std::string>> environment_notes(const config::Server& server,
                                                   const config::Environment& environment,
                                                   Reader& reader) {
    std::vector<std::string> out;
    TRY_ASSIGN(const auto all, shared_databases(server, environment, reader));
    for (const auto& shared : all) {
        if (shared.variable.empty()) {
            out.push_back("whether " + shared.env +
                          " has the same database cannot be told: " + shared.why);
            continue;
        }
        const auto& other = server.environments.at(shared.env);
        out.push_back(shared.variable + " is the database of " + shared.env +
                      ", too: migrations may only add" +
                      (other.approval ? ", and need an approval as in " + shared.env : "") +
                      "; give each environment a database of its own");
    }
    constexpr const char* cookie = "COOKIE_DOMAIN";
    TRY_ASSIGN(const Variables* here, reader.of(environment));
    const auto own = here->values.find(cookie);
    for (const auto& [env, other] : server.environments) {
        if (own == here->values.end() || own->second.value.empty() || env == environment.name ||
            !takes_releases(other)) {
            continue;
        }
        const auto there = reader.of(other);
        if (!there) {
            continue;    // told above
        }
        const auto theirs = (*there)->values.find(cookie);
        if (theirs != (*there)->values.end() &&
            theirs->second.value.reveal() == own->second.value.reveal()) {
            out.push_back(std::string(cookie) + " is that of " + env +
                          ", too: cookies ignore ports, so the two log each other's users out; "
                          "give each a host name of its own");
        }
    }
    return out;
}

}    // namespace seatrial::release
