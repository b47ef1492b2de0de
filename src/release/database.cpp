#include "release/database.h"

#include <optional>

#include "release/builder.h"

namespace seatrial::release {
namespace {

struct Place {
    const std::string& app;
    const std::vector<std::string>& shares;
    const Standing& standing;
    const Content& content;
};

Result<std::vector<SqlFile>> sql_of_release(store::Writer& writer, const std::string& id) {
    TRY_ASSIGN(const auto row, writer.release(id));
    if (!row) {
        return std::vector<SqlFile>();
    }
    TRY_ASSIGN(auto release, release_of(*row));
    return std::move(release.sql);
}

Result<std::optional<Standing>> standing_of(store::Writer& writer, const std::string& app,
                                            const std::string& env) {
    TRY_ASSIGN(const auto life, writer.live(deployment_kind, app, "", env));
    if (!life) {
        return std::nullopt;
    }
    TRY_ASSIGN(auto standing, parse_standing(life->status));
    return std::optional(std::move(standing));
}

// Other environments whose releases use the same database: nothing may be taken from them, whatever
// the release declares about the one before it here.
Status settle_shared(store::Writer& writer, const Place& now) {
    const std::string& release = now.content.release;
    const auto here = now.standing.contents.find(now.standing.state.stable);
    for (const auto& env : now.shares) {
        TRY_ASSIGN(const auto other, standing_of(writer, now.app, env));
        const auto serving = other ? other->contents.find(other->state.stable)
                                   : std::map<std::string, Content>::const_iterator();
        if (!other || serving == other->contents.end() || serving->second.release == release ||
            (here != now.standing.contents.end() &&
             here->second.release == serving->second.release)) {
            continue;
        }
        TRY_ASSIGN(const auto files, sql_of_release(writer, release));
        TRY_ASSIGN(const auto before, sql_of_release(writer, serving->second.release));
        Migration step;    // declares nothing
        Status settled = settle_migration(
            step, files, before, serving->second.tag + " in " + env + " on the same database");
        if (!settled) {
            Error error = std::move(settled).error();
            error.hint = "deploy a release to " + env + " that does not use it any more, first; " +
                         "or give each environment a database of its own";
            return tl::unexpected(std::move(error));
        }
    }
    return {};
}

}    // namespace

Status settle_database(store::Writer& writer, const std::string& app,
                       const std::vector<std::string>& shares, const Standing& standing,
                       Content& content) {
    const Place now{app, shares, standing, content};
    Migration& step = content.migration;
    if (!step.argv.empty() && !now.standing.migrations.contains(now.content.release)) {
        TRY(settle_shared(writer, now));
    }
    const auto ran = now.standing.migrations.find(now.content.release);
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    const bool over = ran != now.standing.migrations.end();
    if (step.argv.empty() || over || serving == now.standing.contents.end()) {
        step.contract = over && ran->second.contract;
        return {};
    }
    TRY_ASSIGN(const auto files, sql_of_release(writer, now.content.release));
    TRY_ASSIGN(const auto before, sql_of_release(writer, serving->second.release));
    return settle_migration(step, files, before, serving->second.tag);
}

Status check_way_back(store::Writer& writer, const std::string& app,
                      const std::vector<std::string>& shares, const Standing& standing,
                      const Content& content) {
    const Place now{app, shares, standing, content};
    TRY_ASSIGN(const auto row, writer.release(now.content.release));
    std::map<std::string, Migrated> ran = now.standing.migrations;
    for (const auto& env : now.shares) {
        TRY_ASSIGN(const auto other, standing_of(writer, now.app, env));
        if (other) {
            ran.insert(other->migrations.begin(), other->migrations.end());
        }
    }
    for (const auto& [release, step] : ran) {
        const bool older = !row || row->at < step.at;
        if (step.contract && step.state == Migrated::State::done &&
            release != now.content.release && older) {
            return fail(Code::refused,
                        "there is no way back to " + now.content.tag + ": the migration of " +
                            step.tag + " removed from the database what it uses",
                        "deploy a release that repairs it");
        }
    }
    return {};
}

Status check_restore(store::Writer& writer, const std::string& app,
                     const std::vector<std::string>& shares, const Standing& standing,
                     const Snapshot& copy) {
    for (const auto& env : shares) {
        TRY_ASSIGN(const auto other, standing_of(writer, app, env));
        if (other && !other->state.stable.empty()) {
            return fail(Code::refused, "the database is that of " + env + ", too",
                        "put the file back by pg_restore, once you know what that needs");
        }
    }
    const auto serving = standing.contents.find(standing.state.stable);
    const auto step = serving == standing.contents.end()
                          ? standing.migrations.end()
                          : standing.migrations.find(serving->second.release);
    if (step != standing.migrations.end() && step->second.state == Migrated::State::done &&
        step->second.at >= copy.at) {
        return fail(Code::refused,
                    serving->second.tag + " serves, and its migration ran after this copy was made",
                    "go back to the release before it first: `seatrial rollback`");
    }
    return {};
}

}    // namespace seatrial::release
