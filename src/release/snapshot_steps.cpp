#include "release/snapshot_steps.h"

#include <algorithm>

#include "base/failpoint.h"
#include "base/file.h"
#include "release/one_time.h"
#include "release/snapshot.h"

namespace seatrial::release {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_count = 4 << 20;
constexpr const char* suffixes[] = {".count.sql", ".count", ".dump", ".guard.sql", ".sql"};

// A migration and what its steps need.
struct Work {
    docker::Engine& engine;
    const Content& content;
    const Owner& owner;
    const fs::path& folder;
    const Migrated& step;

    fs::path file(const char* suffix) const { return folder / (step.snapshot + suffix); }
};

std::string inside(const Work& work, const char* suffix) {
    return std::string(snapshot_target) + "/" + work.step.snapshot + suffix;
}

// A program of PostgreSQL's, to its end.
Status run_tool(const Work& work, const char* role, const std::vector<std::string>& argv,
                const Context& ctx) {
    const OneTime what{work.step.container + role, argv, true, work.folder.string()};
    TRY(make_one_time(work.engine, work.content, what, work.owner, ctx));
    return run_one_time(work.engine, what.container, work.content.migration.snapshot->timeout, ctx);
}

Status copy_database(const Work& work, const Context& ctx) {
    TRY(make_dirs(work.folder, 0700));
    TRY(write_file_atomic(work.file(".count.sql"), counting_sql(), 0600));
    // Counted first: what is written until the copy begins is in both.
    TRY(run_tool(
        work, role::count,
        {"psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
         "--output=" + inside(work, ".count"), "--file=" + inside(work, ".count.sql")},
        ctx));
    TRY(failpoint("release.snapshot_counted"));
    return run_tool(work, role::dump,
                    {"pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=30s",
                     "--file=" + inside(work, ".dump")},
                    ctx);
}

Result<std::vector<Loss>> restore(const Work& work, bool discard, const Context& ctx) {
    TRY_ASSIGN(const std::string counted, read_file(work.file(".count"), largest_count));
    TRY_ASSIGN(const std::string guard,
               guard_sql(counted, work.content.migration.snapshot->ignore, discard));
    TRY(write_file_atomic(work.file(".guard.sql"), guard, 0600));
    TRY(run_tool(
        work, role::unpack,
        {"pg_restore", "--no-password", "--file=" + inside(work, ".sql"), inside(work, ".dump")},
        ctx));
    // In one transaction: whoever looks finds the database as it was before, or as it is then.
    Status restored =
        run_tool(work, role::restore,
                 {"psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1",
                  "--output=/dev/null", "--file=" + inside(work, ".guard.sql"),
                  "--file=" + inside(work, ".sql")},
                 ctx);
    if (!restored && is_passing(restored.error())) {
        return tl::unexpected(restored.error());
    }
    std::error_code ignored;
    fs::remove(work.file(".sql"), ignored);    // large, and nobody needs it any more
    TRY_ASSIGN(const std::string said,
               output_of(work.engine, work.step.container + role::restore, ctx));
    auto losses = losses_in(said);
    if (!restored && !losses.empty()) {
        return fail(Code::refused,
                    "what was written since would be lost: " + render_losses(losses));
    }
    TRY(std::move(restored));
    return losses;
}

}    // namespace

Result<Snapshot> make_snapshot(docker::Engine& engine, const Content& content, const Owner& owner,
                               const fs::path& folder, const Migrated& step, const Context& ctx) {
    const Work work{engine, content, owner, folder, step};
    Snapshot out{step.snapshot, content.tag, "", now_utc(), 0};
    TRY(copy_database(work, ctx));
    std::error_code unknown;
    out.bytes = static_cast<std::int64_t>(fs::file_size(work.file(".dump"), unknown));
    return out;
}

Result<std::vector<Loss>> restore_snapshot(docker::Engine& engine, const Content& content,
                                           const Owner& owner, const fs::path& folder,
                                           const Migrated& step, bool discard, const Context& ctx) {
    return restore({engine, content, owner, folder, step}, discard, ctx);
}

void drop_snapshots(const fs::path& folder, const std::vector<Snapshot>& kept) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        const auto is_of = [&](const Snapshot& one) {
            return std::ranges::any_of(suffixes,
                                       [&](const char* suffix) { return name == one.id + suffix; });
        };
        if (std::ranges::none_of(kept, is_of)) {
            fs::remove(entry.path(), error);
        }
    }
}

Result<Undone> undo_migration(docker::Engine& engine, const Content& content, const Owner& owner,
                              const fs::path& folder, const Migrated& step, const Context& ctx) {
    Undone out;
    if (const Migration& plan = content.migration; !plan.down.empty()) {
        const OneTime what{step.container + role::down, plan.down};
        Status undone = make_one_time(engine, content, what, owner, ctx);
        if (undone) {
            undone = run_one_time(engine, what.container, plan.timeout, ctx);
        }
        if (undone) {
            return Undone{true, "its down command undid it"};
        }
        if (is_passing(undone.error())) {
            return tl::unexpected(undone.error());
        }
        out.told = "its down command " + undone.error().message;
    }
    if (step.snapshot.empty()) {
        return out;
    }
    const auto restored = restore({engine, content, owner, folder, step}, false, ctx);
    if (!restored && is_passing(restored.error())) {
        return tl::unexpected(restored.error());
    }
    TRY(failpoint("release.snapshot_restored"));
    out.whole = restored.has_value();
    out.told += (out.told.empty() ? "" : "\n") +
                (restored ? "the database is what it was before it: nothing had been written "
                            "since, and the snapshot " +
                                step.snapshot + " was restored"
                          : "the snapshot " + step.snapshot +
                                " was not restored: " + restored.error().message);
    return out;
}

}    // namespace seatrial::release
