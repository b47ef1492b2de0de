// The environment of a user's command, made at the last moment: specs hold names and plain
// values, secrets are read here and go nowhere else.
//
// Spec (JSON):
//   set        {NAME: value}       plain values, as they are
//   templates  {NAME: text}        ${NAME} of the values below, files and database included
//   files      [path]              server-side env files (secrets), later ones win
//   database   {engine, place, database, role, variable, file} or absent
// Precedence: set > templates > files > the clean base (PATH, LANG, TZ, HOME, TMPDIR).
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/secret.h"

namespace seatrial::resource {

// URL of a preview's own database for its own role (postgres_server.h supplies it).
using DatabaseUrl =
    std::function<Result<Secret>(const std::string& place, const std::string& database,
                                 const std::string& role, const Context& ctx)>;

// "NAME=value" lines, sorted. Errors: `invalid` names the variable, never its value.
Result<std::vector<std::string>> make_environment(const nlohmann::json& spec,
                                                  const std::filesystem::path& home,
                                                  const DatabaseUrl& database_url,
                                                  const Context& ctx);

}    // namespace seatrial::resource
