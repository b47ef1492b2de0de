// What a copied database still has of the one it was copied from (the owners of its objects, stored
// passwords of other servers) and what it lacks (settings).
#pragma once

#include <string>

#include "resource/postgres_server.h"

namespace seatrial::resource {

// Gives every object in the connected database to `role`, so that the app's migrations may alter
// it; members of extensions stay as they are. REASSIGN OWNED is not the way: it refuses the
// server's first superuser, and takes along the databases of the old owner.
// Errors: `refused` names objects whose owner the admin may not act for.
Status give_objects_to(sql::Postgres& db, const std::string& role, const Context& ctx);

// Nothing, or a sentence on what keeps give_objects_to() from working as the admin.
Result<std::string> objects_out_of_reach(sql::Postgres& db, const Context& ctx);

// Drops user mappings: they hold passwords of foreign servers.
Status drop_stored_passwords(sql::Postgres& db, const Context& ctx);

// Copies ALTER DATABASE ... SET (search_path, time zone) from one database to another: the server
// does not when it clones. What the admin may not set (superuser's settings; before 16 an
// extension's or the app's own) is left out.
Status copy_settings(const PostgresServers& servers, const std::string& place, sql::Postgres& db,
                     const std::string& from, const std::string& to, const Context& ctx);

}    // namespace seatrial::resource
