// Copies of the database around a migration: one before it, and the way back when it fails. Every
// step is a container that is made once and kept (release/one_time.h), so that a restarted daemon
// reads from it how the step ended; each function may be called again after dying half-way.
// `folder`: of the environment's copies. Errors: `failed`, with what the program said, and those of
// is_passing().
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "release/containers.h"

namespace seatrial::release {

// The copy `step.snapshot`, by what `content` says of copies.
Result<Snapshot> make_snapshot(docker::Engine& engine, const Content& content, const Owner& owner,
                               const std::filesystem::path& folder, const Migrated& step,
                               const Context& ctx);
// Puts the copy `step.snapshot` back, in one transaction; `refused` when rows were written since,
// unless `discard`. Answers what was lost.
Result<std::vector<Loss>> restore_snapshot(docker::Engine& engine, const Content& content,
                                           const Owner& owner, const std::filesystem::path& folder,
                                           const Migrated& step, bool discard, const Context& ctx);
// Removes the files of all copies but these.
void drop_snapshots(const std::filesystem::path& folder, const std::vector<Snapshot>& kept);
struct Undone {
    bool whole = false;    // the database is what it was
    std::string told;      // what became of it, for people; "" = nothing could be done
};
// After a migration that failed: its down command, else the copy, should it be there and nothing
// written since.
Result<Undone> undo_migration(docker::Engine& engine, const Content& content, const Owner& owner,
                              const std::filesystem::path& folder, const Migrated& step,
                              const Context& ctx);

}    // namespace seatrial::release
