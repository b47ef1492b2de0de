// The copy of a PostgreSQL database that is made before each migration.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace seatrial::config {

struct ReleaseSnapshot {
    std::string url;      // variable that holds the database's URL
    std::string image;    // has pg_dump, pg_restore and psql; "" = the migration's own
    int keep = 3;         // of an environment
    std::chrono::milliseconds timeout{600'000};
    std::vector<std::string> ignore;    // tables in which only migrations write
    bool operator==(const ReleaseSnapshot&) const = default;
};

}    // namespace seatrial::config
