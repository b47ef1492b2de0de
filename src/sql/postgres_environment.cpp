#include "sql/postgres_environment.h"

#include <libpq-fe.h>

#include <memory>
#include <set>

#include "base/text.h"

namespace seatrial::sql {
namespace {

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::set<std::string> known_parameters() {
    const Options all(PQconndefaults(), &PQconninfoFree);
    std::set<std::string> out;
    for (const auto* one = all.get(); one != nullptr && one->keyword != nullptr; ++one) {
        out.insert(one->keyword);
    }
    out.insert("ssl");    // JDBC's, which libpq takes for sslmode=require
    return out;
}

// Without parameters that libpq does not know: it refuses the whole for one.
std::string as_libpq_has_it(std::string_view url) {
    if (url.starts_with("jdbc:")) {
        url.remove_prefix(5);
    }
    const auto colon = url.find("://");
    if (colon == std::string_view::npos) {
        return "";
    }
    const std::string_view scheme = url.substr(0, std::min(colon, url.find('+')));
    if (scheme != "postgresql" && scheme != "postgres") {
        return "";
    }
    const auto question = url.find('?', colon);
    std::string out = "postgresql" + std::string(url.substr(colon, question - colon));
    if (question == std::string_view::npos) {
        return out;
    }
    const auto known = known_parameters();
    std::string_view separator = "?";
    for (const std::string_view pair : split(url.substr(question + 1), '&')) {
        if (known.contains(std::string(pair.substr(0, pair.find('='))))) {
            out.append(separator).append(pair);
            separator = "&";
        }
    }
    return out;
}

}    // namespace

Result<std::map<std::string, Secret>> postgres_environment(const Secret& url) {
    const std::string text = as_libpq_has_it(trim(url.reveal()));
    const Options parsed(text.empty() ? nullptr : PQconninfoParse(text.c_str(), nullptr),
                         &PQconninfoFree);
    if (parsed == nullptr) {
        return fail(Code::invalid, "it is no URL of a PostgreSQL database",
                    "write postgresql://user:password@host:port/database");
    }
    std::map<std::string, Secret> out;
    for (const auto* one = parsed.get(); one->keyword != nullptr; ++one) {
        if (one->envvar != nullptr && one->val != nullptr) {
            out[one->envvar] = Secret(one->val);
        }
    }
    if (!out.contains("PGDATABASE")) {
        return fail(Code::invalid, "the URL names no database",
                    "write postgresql://user:password@host:port/database");
    }
    return out;
}

}    // namespace seatrial::sql
