// The migration of a release: once per release and environment, before its containers start.
// Written down before each step and after it; the container's name and whether it was made tell a
// restarted daemon how far it came.
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "docker/containers.h"
#include "release/news.h"
#include "release/one_time.h"
#include "release/reconciler.h"
#include "release/snapshot_steps.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* part_name = "(migration)";    // no component can be called so
constexpr std::size_t most_kept = 50;

// The oldest go; those of releases that may come back are among the newest.
void forget_old(std::map<std::string, Migrated>& migrations) {
    while (migrations.size() > most_kept) {
        auto oldest = migrations.end();
        for (auto one = migrations.begin(); one != migrations.end(); ++one) {
            if (one->second.state == Migrated::State::done &&
                (oldest == migrations.end() || one->second.at < oldest->second.at)) {
                oldest = one;
            }
        }
        if (oldest == migrations.end()) {
            return;
        }
        migrations.erase(oldest);
    }
}

}    // namespace

Result<bool> Reconciler::migrate(Look& now, const std::string& slot, const Context& ctx) {
    Standing& standing = now.standing;
    const Content content = standing.contents.at(slot);
    const auto known = standing.migrations.find(content.release);
    if (content.migration.argv.empty() ||
        (known != standing.migrations.end() && known->second.state == Migrated::State::done)) {
        return true;
    }
    TRY(settle_migrations(now, ctx));    // two at a time would meet in the database
    if (known == standing.migrations.end()) {
        TRY(name_migration(now, slot));
    }
    TRY(failpoint("release.migration_named"));
    Migrated& step = standing.migrations[content.release];
    Status ended = take_snapshot(now, slot, ctx);
    if (ended) {
        ended = make_migration(now, slot, ctx);
    }
    if (ended) {
        ended = end_migration(now, slot, ctx);
    }
    if (!ended && is_passing(ended.error())) {
        return tl::unexpected(ended.error());
    }
    if (!ended) {
        return refuse_migration(now, slot, ended.error());
    }
    TRY(failpoint("release.migration_ended"));
    const auto took = now_utc() - step.at;
    step.took = took;
    step.state = Migrated::State::done;
    step.at = now_utc();
    forget_old(standing.migrations);
    TRY(save(now, {make_event(now.life, "migrated",
                              {{"tag", content.tag}, {"slot", slot}, {"ms", took.count()}})}));
    return true;
}

Status Reconciler::name_migration(Look& now, const std::string& slot) {
    Standing& standing = now.standing;
    const Content& content = standing.contents.at(slot);
    Migrated step;
    step.container =
        make_name(parts_.instance, site_name(now.spec.app, now.spec.env) + "-migration",
                  crypto::sha256_hex(now.life.id + "/" + content.release + "/" +
                                     std::to_string(crypto::random_u64())));
    step.at = now_utc();
    step.contract = content.migration.contract;
    step.tag = content.tag;
    if (content.migration.snapshot) {
        step.snapshot = content.tag + "-" + crypto::sha256_hex(step.container).substr(0, 8);
    }
    standing.migrations[content.release] = step;
    // They go with the slot's containers; without a port no user is ever sent to them.
    std::vector<Instance> containers = {{step.container, {}}};
    for (const char* role : one_time_roles) {
        containers.push_back({step.container + role, {}});
    }
    standing.instances[slot][part_name] = containers;
    now.life.status = render_standing(standing);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        for (const auto& one : containers) {
            TRY(writer.add_owned({now.life.id, 0, container_type, engine_place, one.container}));
        }
        return writer.add_event(make_event(now.life, "migrating",
                                           {{"tag", content.tag},
                                            {"slot", slot},
                                            {"contract", step.contract},
                                            {"notes", content.migration.notes}}));
    });
}

// Of the database, once, before anything is changed.
Status Reconciler::take_snapshot(Look& now, const std::string& slot, const Context& ctx) {
    const Content content = now.standing.contents.at(slot);
    const Migrated step = now.standing.migrations[content.release];
    if (step.snapshot.empty() || step.state != Migrated::State::named) {
        return {};
    }
    auto kept = keep_snapshot(now, content, slot, step, content.tag, ctx);
    if (!kept && !is_passing(kept.error())) {
        Error error = kept.error();
        error.message = "was not begun: the snapshot before it " + error.message;
        error.hint = "see release.migrate.snapshot; the database was not touched";
        return tl::unexpected(std::move(error));
    }
    return kept;
}

// Once; `before`: what comes next, for people.
Status Reconciler::keep_snapshot(Look& now, const Content& content, const std::string& slot,
                                 const Migrated& step, const std::string& before,
                                 const Context& ctx) {
    auto& all = now.standing.snapshots;
    if (std::ranges::any_of(all, [&](const Snapshot& one) { return one.id == step.snapshot; })) {
        return {};
    }
    const auto folder = snapshots_of(now);
    TRY_ASSIGN(Snapshot made,
               make_snapshot(parts_.engine, content, owner_of(now, slot), folder, step, ctx));
    made.tag = before;
    TRY(failpoint("release.snapshot_taken"));
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    made.serving = serving == now.standing.contents.end() ? "" : serving->second.tag;
    all.push_back(made);
    // What is being put back stays, whatever its age.
    const auto& restoring = now.standing.restoring;
    const auto most =
        static_cast<std::size_t>(content.migration.snapshot->keep) + (restoring ? 1U : 0U);
    for (auto one = all.begin(); all.size() > most;) {
        one = restoring && one->id == restoring->snapshot ? one + 1 : all.erase(one);
    }
    TRY(save(now, {make_event(now.life, "snapshot",
                              {{"id", made.id},
                               {"tag", made.tag},
                               {"bytes", made.bytes},
                               {"file", (folder / (made.id + ".dump")).string()},
                               {"ms", (now_utc() - made.at).count()}})}));
    drop_snapshots(folder, all);    // after the records: what they name is there
    return {};
}

std::filesystem::path Reconciler::snapshots_of(const Look& now) const {
    return parts_.snapshots / site_name(now.spec.app, now.spec.env);
}

Status Reconciler::make_migration(Look& now, const std::string& slot, const Context& ctx) {
    const Content content = now.standing.contents.at(slot);
    Migrated& step = now.standing.migrations[content.release];
    if (step.state != Migrated::State::named) {
        return {};
    }
    TRY(make_one_time(parts_.engine, content, {step.container, content.migration.argv},
                      owner_of(now, slot), ctx));
    step.state = Migrated::State::made;
    step.at = now_utc();
    TRY(save(now));
    return failpoint("release.migration_made");
}

// One that fails is undone; its error tells what became of the database.
Status Reconciler::end_migration(Look& now, const std::string& slot, const Context& ctx) {
    const Content content = now.standing.contents.at(slot);
    Migrated& step = now.standing.migrations[content.release];
    if (step.state == Migrated::State::made) {
        const auto deadline = step.at + content.migration.timeout;
        const auto left = std::max(milliseconds(1), deadline - now_utc());
        Status ended = run_one_time(parts_.engine, step.container, left, ctx);
        if (ended || is_passing(ended.error())) {
            return ended;
        }
        step.state = Migrated::State::failed;
        step.fault = ended.error().message;
        step.hint = ended.error().hint;
        TRY(save(now));
    }
    TRY(failpoint("release.migration_failed"));
    TRY_ASSIGN(const Undone undone, undo_migration(parts_.engine, content, owner_of(now, slot),
                                                   snapshots_of(now), step, ctx));
    const std::string hint = undone.whole ? "mend the migration and deploy again" : step.hint;
    return fail(Code::failed, step.fault + (undone.told.empty() ? "" : "\n" + undone.told), hint);
}

// It may be tried again by a new deploy: nothing says any more that it ran.
Result<bool> Reconciler::refuse_migration(Look& now, const std::string& slot, const Error& error) {
    Error why = error;
    why.message = "the migration of " + now.standing.contents.at(slot).tag + " " + error.message;
    if (why.hint.empty()) {
        why.hint = "look at the database before you deploy again: what it did before stays";
    }
    now.standing.migrations.erase(now.standing.contents.at(slot).release);
    TRY(give_up(now, slot, why));
    return false;
}

// Those of releases that are not wanted any more: never cut off half-way because of that.
Status Reconciler::settle_migrations(Look& now, const Context& ctx) {
    std::vector<std::pair<std::string, std::string>> others;    // release, slot
    for (const auto& [release, step] : now.standing.migrations) {
        if (step.state == Migrated::State::done || release == now.spec.wanted.release) {
            continue;
        }
        others.emplace_back(release, "");
        for (const auto& [slot, content] : now.standing.contents) {
            others.back().second = content.release == release ? slot : others.back().second;
        }
    }
    for (const auto& [release, slot] : others) {
        Migrated& step = now.standing.migrations[release];
        const auto seen = docker::inspect_container(parts_.engine, step.container, ctx);
        if (!seen && seen.error().code != Code::not_found) {
            return tl::unexpected(seen.error());
        }
        const bool ran = seen && seen->state != "created" && !slot.empty();
        Status ended =
            ran ? end_migration(now, slot, ctx) : Status(fail(Code::failed, "was not started"));
        if (!ended && is_passing(ended.error())) {
            return ended;
        }
        if (ended) {
            step.state = Migrated::State::done;
            step.at = now_utc();
        } else {
            now.standing.migrations.erase(release);
        }
        TRY(save(now));
    }
    return {};
}

}    // namespace seatrial::release
