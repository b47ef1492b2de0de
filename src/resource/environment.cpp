#include "resource/environment.h"

#include <array>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "config/env_file.h"

namespace seatrial::resource {
namespace {

using Values = std::map<std::string, std::string>;

// What a command may know of the daemon's own environment; everything else stays out.
constexpr std::array inherited = {"PATH", "LANG", "LC_ALL", "TZ"};
constexpr std::size_t env_file_limit = 1 << 20;

Values base_values(const std::filesystem::path& home) {
    Values values;
    for (const char* name : inherited) {
        if (const char* value = std::getenv(name)) {
            values[name] = value;
        }
    }
    values.try_emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
    values.try_emplace("LANG", "C.UTF-8");
    values["HOME"] = home.string();
    values["TMPDIR"] = (home / "tmp").string();
    return values;
}

Status read_files(const nlohmann::json& spec, Values& values) {
    for (const auto& file : spec.value("files", nlohmann::json::array())) {
        const std::string path = file.get<std::string>();
        TRY_ASSIGN(const std::string text, read_file(path, env_file_limit));
        const auto parsed = config::parse_env_file(text, path);
        if (!parsed.ok()) {
            return tl::unexpected(config::faults_to_error(parsed.faults));
        }
        for (const auto& [name, entry] : parsed.value) {
            values[name] = entry.value;
        }
    }
    return {};
}

Status add_database(const nlohmann::json& spec, const DatabaseUrl& database_url, Values& values,
                    const Context& ctx) {
    if (!spec.contains("database")) {
        return {};
    }
    const auto& database = spec.at("database");
    const std::string variable = database.value("variable", "DATABASE_URL");
    if (database.value("engine", "") == "sqlite") {
        values[variable] = "file:" + database.value("file", "");
        return {};
    }
    TRY_ASSIGN(const Secret url,
               database_url(database.value("place", ""), database.value("database", ""),
                            database.value("role", ""), ctx));
    values[variable] = url.reveal();
    return {};
}

}    // namespace

Result<std::vector<std::string>> make_environment(const nlohmann::json& spec,
                                                  const std::filesystem::path& home,
                                                  const DatabaseUrl& database_url,
                                                  const Context& ctx) {
    Values values = base_values(home);
    TRY(read_files(spec, values));
    TRY(add_database(spec, database_url, values, ctx));
    Values set = spec.value("set", Values{});
    Values known = values;
    for (const auto& [name, value] : set) {
        known[name] = value;
    }
    for (const auto& [name, text] : spec.value("templates", Values{})) {
        auto expanded = config::expand_template(text, known);
        if (!expanded) {
            return wrap(std::move(expanded).error(), "variable " + name);
        }
        values[name] = std::move(*expanded);
    }
    for (auto& [name, value] : set) {
        values[name] = std::move(value);
    }
    std::vector<std::string> lines;
    for (const auto& [name, value] : values) {
        if (value.find('\0') != std::string::npos) {
            return fail(Code::invalid, "variable " + name + " holds a NUL byte");
        }
        lines.push_back(name + "=" + value);
    }
    return lines;
}

}    // namespace seatrial::resource
