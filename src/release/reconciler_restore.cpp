// A copy of the database that a person wants back. It comes before all else, also before a slot
// that ends again and again is started again: the database may be why.
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "release/news.h"
#include "release/one_time.h"
#include "release/reconciler.h"
#include "release/snapshot_steps.h"

namespace seatrial::release {
namespace {

constexpr const char* part_name = "(restore)";    // no component can be called so

// A step beside the slot: of the copy that comes back, or of the one that is kept of what goes.
Migrated step_of(const Restoring& wanted, const std::string& snapshot) {
    Migrated out;
    out.container = wanted.container;
    out.snapshot = snapshot;
    return out;
}

std::string id_of_last(const Restoring& wanted) {
    return "before-restore-" + crypto::sha256_hex(wanted.container).substr(0, 8);
}

// Migrations that ran since then are undone with it. Who goes back to such a release starts it
// anew, and its migration with it.
void forget_since(Standing& standing, WallTime at) {
    std::erase_if(standing.migrations, [&](const auto& one) {
        const auto& [release, step] = one;
        if (step.state != Migrated::State::done || step.at < at) {
            return false;
        }
        for (const auto& [slot, content] : standing.contents) {
            if (content.release == release && slot != standing.state.stable) {
                enter(standing, slot, Phase::failed);
            }
        }
        return true;
    });
}

}    // namespace

Status Reconciler::restore(Look& now, const Context& ctx) {
    Standing& standing = now.standing;
    const auto held = standing.contents.find(standing.restoring->slot);
    const auto known =
        std::ranges::find(standing.snapshots, standing.restoring->snapshot, &Snapshot::id);
    if (held == standing.contents.end() || known == standing.snapshots.end()) {
        return end_restore(now, fail(Code::failed, "the release or the copy is gone meanwhile"));
    }
    if (standing.restoring->container.empty()) {
        TRY(name_restore(now));
    }
    TRY(failpoint("release.restore_named"));
    const Restoring wanted = *standing.restoring;
    const Content content = held->second;
    const WallTime made = known->at;
    const Owner owner = owner_of(now, wanted.slot);
    const auto folder = snapshots_of(now);
    if (wanted.discard) {
        Status kept = keep_snapshot(now, content, wanted.slot, step_of(wanted, id_of_last(wanted)),
                                    "restore", ctx);
        if (!kept && is_passing(kept.error())) {
            return kept;
        }
        if (!kept) {
            return end_restore(now, fail(Code::failed, "a copy of what goes cannot be made: it " +
                                                           kept.error().message));
        }
    }
    const auto lost = restore_snapshot(parts_.engine, content, owner, folder,
                                       step_of(wanted, wanted.snapshot), wanted.discard, ctx);
    if (!lost && is_passing(lost.error())) {
        return tl::unexpected(lost.error());
    }
    TRY(failpoint("release.restore_ended"));
    if (!lost) {
        return end_restore(now, tl::unexpected(lost.error()));
    }
    forget_since(standing, made);
    standing.restoring.reset();
    standing.losing.reset();
    return save(now, {make_event(now.life, "restored",
                                 {{"snapshot", wanted.snapshot},
                                  {"lost", render_losses(*lost)},
                                  {"kept", wanted.discard ? id_of_last(wanted) : ""}})});
}

Status Reconciler::name_restore(Look& now) {
    Restoring& wanted = *now.standing.restoring;
    wanted.container =
        make_name(parts_.instance, site_name(now.spec.app, now.spec.env) + "-restore",
                  crypto::sha256_hex(now.life.id + "/" + std::to_string(crypto::random_u64())));
    // They go with the slot's containers.
    auto& containers = now.standing.instances[wanted.slot][part_name];
    std::vector<std::string> names;
    for (const char* role : one_time_roles) {
        names.push_back(wanted.container + role);
        containers.push_back({names.back(), {}});
    }
    now.life.status = render_standing(now.standing);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        for (const auto& name : names) {
            TRY(writer.add_owned({now.life.id, 0, container_type, engine_place, name}));
        }
        return {};
    });
}

// It was not done, and the database is what it was.
Status Reconciler::end_restore(Look& now, const Status& why) {
    const std::string snapshot = now.standing.restoring->snapshot;
    const bool loses = why.error().code == Code::refused;
    if (loses) {
        now.standing.losing = Losing{snapshot, why.error().message};
    }
    now.standing.restoring.reset();
    return save(now, {make_event(now.life, "restore_refused",
                                 {{"snapshot", snapshot},
                                  {"message", why.error().message},
                                  {"hint", loses ? "seatrial restore " + now.spec.env + " " +
                                                       snapshot + " --discard"
                                                 : why.error().hint}})});
}

}    // namespace seatrial::release
