// The migration of a release: once per release and environment, before its containers start.
// Written down before each step and after it; the container's name and whether it was made tell a
// restarted daemon how far it came.
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "docker/containers.h"
#include "release/containers.h"
#include "release/news.h"
#include "release/reconciler.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* part_name = "(migration)";    // no component can be called so
constexpr std::size_t most_kept = 50;
constexpr auto end_patience = std::chrono::seconds(30);

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
    if (step.state == Migrated::State::named) {
        Status made =
            make_migration(parts_.engine, content, step.container, owner_of(now, slot), ctx);
        if (!made) {
            if (made.error().code == Code::unavailable || made.error().code == Code::cancelled ||
                made.error().mark == secrets::source_mark) {
                return tl::unexpected(made.error());
            }
            return refuse_migration(now, slot, made.error());
        }
        step.state = Migrated::State::made;
        TRY(save(now));
    }
    TRY(failpoint("release.migration_made"));
    const auto deadline = step.at + content.migration.timeout;
    const auto left = std::max(milliseconds(1), deadline - now_utc());
    const Status ended = run_migration(parts_.engine, step.container, left, ctx);
    if (!ended) {
        const Code code = ended.error().code;
        if (code == Code::unavailable || code == Code::cancelled) {
            return tl::unexpected(ended.error());
        }
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
    standing.migrations[content.release] = step;
    // It goes with the slot's containers; without a port no user is ever sent to it.
    standing.instances[slot][part_name] = {{step.container, {}}};
    now.life.status = render_standing(standing);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        TRY(writer.add_owned({now.life.id, 0, container_type, engine_place, step.container}));
        return writer.add_event(make_event(now.life, "migrating",
                                           {{"tag", content.tag},
                                            {"slot", slot},
                                            {"contract", step.contract},
                                            {"notes", content.migration.notes}}));
    });
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
    std::vector<std::string> others;
    for (const auto& [release, step] : now.standing.migrations) {
        if (step.state != Migrated::State::done && release != now.spec.wanted.release) {
            others.push_back(release);
        }
    }
    for (const auto& release : others) {
        Migrated& step = now.standing.migrations[release];
        milliseconds left = end_patience;
        for (const auto& [slot, content] : now.standing.contents) {
            if (content.release == release) {
                left = std::max(milliseconds(1), step.at + content.migration.timeout - now_utc());
            }
        }
        const auto seen = docker::inspect_container(parts_.engine, step.container, ctx);
        const bool runs = seen && seen->state != "created";
        if (!seen && seen.error().code != Code::not_found) {
            return tl::unexpected(seen.error());
        }
        Status ended = runs ? run_migration(parts_.engine, step.container, left, ctx)
                            : Status(fail(Code::failed, "was not started"));
        if (!ended &&
            (ended.error().code == Code::unavailable || ended.error().code == Code::cancelled)) {
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
