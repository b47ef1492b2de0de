// What a repository shows of itself, and the commented seatrial.yaml made from it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace seatrial::config {

struct Findings {
    std::string yaml;                      // the file to write: commented, valid by construction
    std::string server_yaml;               // the server's, from Compose and nginx files; "" = none
    std::vector<std::string> notes;        // "pnpm workspace with 2 packages", one line each
    std::vector<std::string> questions;    // what could not be told and what was assumed
};

// Reads manifests below `root` (package.json, lock files, pnpm-workspace.yaml, pyproject.toml,
// requirements.txt, manage.py, compose files, prisma/, alembic.ini, ...). Runs nothing.
Result<Findings> inspect_repository(const std::filesystem::path& root);

}    // namespace seatrial::config
