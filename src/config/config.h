// The two configuration files as plain values. Keys, types, defaults, bounds and texts are
// declared once, in config/keys.cpp; validation, JSON Schema and reference come from there.
//
//   app file     seatrial.yaml of a repository: what the app is. From the commit or default branch.
//   server file  what the machine allows: environments, policy, places.
// A daemon without a server file takes both parts from the repository it was started in.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/app.h"
#include "config/fault.h"
#include "config/server.h"

namespace seatrial::config {

// `name` appears in faults. Never throws; any input (100 MB, alias bombs, bad UTF-8) ends in
// faults within bounded time and memory. `both`: server keys are allowed in the app's file
// (embedded daemon); otherwise a server key there is a fault that says where it belongs.
Parsed<App> parse_app(std::string_view yaml, const std::string& name, bool both);
// `both`: the same file is an app's too (embedded daemon), whose keys parse_app has checked.
Parsed<Server> parse_server(std::string_view yaml, const std::string& name, bool both = false);

// Every fault of a file that may hold both parts, each once, in the order of the file.
std::vector<Fault> check_combined(std::string_view yaml, const std::string& name);

// The thirteen PREVIEW_* variables (and {INT,STG,PRD}_EKS_*) of P3. `lookup` is getenv-like.
using Lookup = std::optional<std::string> (*)(const char* name);
using Variables = std::map<std::string, std::string>;
Variables preview_variables(Lookup lookup);
// Without any file these alone describe an app with web and api (the document's set-up).
App app_from_variables(const Variables& variables, const std::string& name);
// Variables over files. The environment's stricter ttl, max and provider still win over
// PREVIEW_TTL_HOURS, PREVIEW_MAX_INSTANCES, PREVIEW_PROVIDER when the server's file sets them.
std::vector<Fault> apply_variables(const Variables& variables, App& app, Server& server);
// int: auto 24 h; stg: 24 h, release/* rc/*; prd: approval, 8 h, hotfix/* (A8).
Server default_server();
// The built-in policy for a name: dev is as int, staging as stg, prod, production and live as prd.
Environment default_environment(const std::string& name);
// "staging" → "stg", "production" → "prd", "dev" → "int"; "" = of no known kind.
std::string_view environment_kind(std::string_view name);
// The environment with the app's tightening applied; not_found names the known ones.
Result<Environment> environment_for(const Server& server, const App& app, const std::string& name);

// JSON Schema (2020-12) of both files, and the reference page in Markdown, from the key table.
std::string json_schema();
std::string reference_page();

}    // namespace seatrial::config
