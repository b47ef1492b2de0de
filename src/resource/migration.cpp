#include "resource/migration.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"

namespace seatrial::resource {
namespace {

constexpr std::string_view host_place = "host";

// Beside the tree, so that a checkout never touches it.
std::filesystem::path stamp_file(const std::filesystem::path& previews, const std::string& tree) {
    return previews / tree / "migrated";
}

plan::Observation seen_from(const MigrationStamp& stamp) {
    plan::Observation seen;
    if (!stamp.done.empty() && stamp.done == stamp.started) {
        seen.presence = plan::Presence::ready;
        seen.spec_hash = stamp.done;
    } else if (!stamp.started.empty()) {
        seen.presence = plan::Presence::partial;
        seen.detail = "started, not finished";
    }
    return seen;
}

}    // namespace

Migration::Migration(process::Runner& runner, PostgresServers& servers,
                     std::filesystem::path previews, DatabaseUrl database_url)
    : runner_(runner),
      servers_(servers),
      previews_(std::move(previews)),
      database_url_(std::move(database_url)) {}

plan::Traits Migration::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::in_place;
    traits.owned = false;
    traits.title = "migration";
    return traits;
}

Result<std::vector<std::string>> Migration::list(const std::string& /*place*/,
                                                 const Context& /*ctx*/) {
    return std::vector<std::string>();
}

Result<plan::Observation> Migration::observe(const plan::Ref& ref, const Context& ctx) {
    MigrationStamp stamp;
    if (ref.place != host_place) {
        auto found = servers_.migration_of(ref.place, ref.name, ctx);
        if (!found && found.error().code != Code::not_found) {
            return tl::unexpected(std::move(found).error());
        }
        return seen_from(found.value_or(MigrationStamp{}));
    }
    auto text = read_file(stamp_file(previews_, ref.name), 256);
    if (!text && text.error().code != Code::not_found) {
        return tl::unexpected(std::move(text).error());
    }
    stamp.done = text.value_or("");
    stamp.started = stamp.done;
    return seen_from(stamp);
}

Status Migration::create(const plan::Ref& ref, const nlohmann::json& spec,
                         const plan::Progress& /*progress*/, const Context& ctx) {
    const bool postgres = ref.place != host_place;
    const std::string hash = plan::spec_hash(spec);
    TRY_ASSIGN(auto run, make_run_spec(spec.at("run").get<std::string>(), process::Profile::tool,
                                       spec, runner_, database_url_, ctx));
    if (postgres) {
        TRY(servers_.mark_migrating(ref.place, ref.name, hash, ctx));
    }
    TRY(failpoint("migration.run", "before"));
    TRY_ASSIGN(const process::RunState ended, runner_.run(run, ctx));
    TRY(failpoint("migration.run", "after"));
    TRY(runner_.forget(run.name, ctx));
    if (ended.exit_code != 0) {
        return fail(Code::failed,
                    "the migration failed: " + render_exit(ended) + "\n" + log_tail(run.log, 12),
                    "the branch may be behind or ahead of the template's schema: mend the "
                    "migration, or rebuild from an empty database with "
                    "`seatrial up --fresh-database=empty`");
    }
    if (postgres) {
        return servers_.mark_migrated(ref.place, ref.name, hash, ctx);
    }
    return write_file_atomic(stamp_file(previews_, ref.name), hash, 0600);
}

Result<plan::Removal> Migration::destroy(const plan::Ref& /*ref*/, const Context& /*ctx*/) {
    return plan::Removal();
}

}    // namespace seatrial::resource
