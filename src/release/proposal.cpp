#include "release/proposal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "release/builder.h"
#include "release/compatibility.h"
#include "release/database.h"
#include "release/incident.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

// What is deployed there already; false: nothing.
Result<bool> load(store::Writer& writer, Proposal& now) {
    TRY_ASSIGN(const auto existing, writer.live(deployment_kind, now.app, "", now.env));
    if (!existing) {
        return false;
    }
    now.life = *existing;
    TRY_ASSIGN(now.spec, parse_spec(now.life.spec));
    TRY_ASSIGN(now.standing, parse_standing(now.life.status));
    return true;
}

}    // namespace

void set_hold(Spec& spec, bool held, const std::string& by, const std::string& reason) {
    if (held && spec.held) {
        return;
    }
    spec.held = held;
    spec.held_at = held ? std::optional<WallTime>(now_utc()) : std::nullopt;
    spec.held_by = by;
    spec.held_reason = reason;
}

Status admit_deploy(store::Writer& writer, const DeployRequest& request, Proposal& now) {
    TRY_ASSIGN(const bool exists, load(writer, now));
    if (!exists) {
        now.life.kind = deployment_kind;
        now.life.created_at = now_utc();
        now.life.id = make_ulid(now.life.created_at.time_since_epoch().count(),
                                crypto::random_u64(), crypto::random_u64());
        now.life.app = request.app;
        now.life.env = request.env;
        now.life.state = "starting";
    }
    if (now.spec.held && !request.manual) {
        return fail(Code::refused, request.app + " in " + request.env + " was rolled back by hand",
                    "`seatrial resume " + request.env + "` lets automation go on");
    }
    TRY_ASSIGN(const auto release, writer.release(request.content.release));
    if (release && !release->rejected.empty()) {
        return fail(Code::refused,
                    "release " + request.content.tag + " was rejected: " + release->rejected,
                    "build a new one");
    }
    now.spec.app = request.app;
    now.spec.env = request.env;
    now.spec.settings = request.settings;
    now.spec.shares = request.shares;
    now.from = request.from;
    now.rules_of = request.rules_of;
    now.differences = request.differences;
    now.notes = request.notes;
    now.content = request.content;
    set_hold(now.spec, false, "", "");
    TRY(check_beside(now.content, now.standing, now.env));
    return settle_database(writer, now.app, now.spec.shares, now.standing, now.content);
}

Status admit_rollback(store::Writer& writer, const RollbackRequest& request, Proposal& now) {
    TRY_ASSIGN(const bool exists, load(writer, now));
    if (!exists) {
        return fail(Code::not_found,
                    "nothing of " + request.app + " is deployed in " + request.env);
    }
    // Stopped or still on its way, the wanted release is what people want to be rid of.
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    const bool halfway = serving != now.standing.contents.end() &&
                         serving->second.release != now.spec.wanted.release;
    now.bad = halfway                                  ? now.spec.wanted
              : serving == now.standing.contents.end() ? Content()
                                                       : serving->second;
    const std::string& to = request.to;
    const auto is_meant = [&](const Content& content) {
        return content.release == to || content.tag == to;
    };
    if (to.empty() || is_meant(now.spec.previous)) {
        now.content = to.empty() && halfway ? serving->second : now.spec.previous;
    } else {
        for (const auto& [slot, content] : now.standing.contents) {
            if (is_meant(content)) {
                now.content = content;
            }
        }
    }
    if (now.content.release.empty()) {
        return fail(Code::not_found,
                    to.empty() ? "there is no release before this one in " + request.env
                               : "release " + to + " is not kept in " + request.env,
                    "deploy it by its id; `seatrial releases` lists them");
    }
    TRY(check_beside(now.content, now.standing, now.env));
    TRY(check_way_back(writer, now.app, now.spec.shares, now.standing, now.content));
    set_hold(now.spec, true, request.actor, request.reason);
    return {};
}

Status admit_restore(store::Writer& writer, const RestoreRequest& request, Proposal& now) {
    TRY_ASSIGN(const bool exists, load(writer, now));
    const auto copy = std::ranges::find(now.standing.snapshots, request.snapshot, &Snapshot::id);
    if (!exists || copy == now.standing.snapshots.end()) {
        return fail(Code::not_found,
                    "there is no copy '" + printable(request.snapshot) + "' of a database in " +
                        printable(request.env),
                    "`seatrial snapshots " + printable(request.env) + "` lists them");
    }
    const State& state = now.standing.state;
    const auto serving = now.standing.contents.find(state.stable);
    if (serving == now.standing.contents.end() || serving->second.release != state.wanted ||
        state.switched_at || now.standing.restoring) {
        return fail(Code::conflict,
                    "a deploy or a restore is under way in " + request.env + ", or nothing serves",
                    "wait for its end: `seatrial history " + request.env + "`");
    }
    if (!serving->second.migration.snapshot) {
        return fail(Code::refused,
                    serving->second.tag + " serves, and has no release.migrate.snapshot",
                    "put the file back by pg_restore");
    }
    TRY(check_restore(writer, now.app, now.spec.shares, now.standing, *copy));
    if (request.discard &&
        (!now.standing.losing || now.standing.losing->snapshot != request.snapshot)) {
        return fail(Code::refused, "nobody has seen what would be lost",
                    "without --discard it says so, and changes nothing then");
    }
    now.standing.restoring = Restoring{request.snapshot, state.stable, request.discard, ""};
    return {};
}

namespace {

approval::Asked restore_asked(const Proposal& now) {
    const Restoring& wanted = *now.standing.restoring;
    const auto copy = std::ranges::find(now.standing.snapshots, wanted.snapshot, &Snapshot::id);
    const std::string losses = wanted.discard ? now.standing.losing->losses : "";
    json notes = {"the database comes back as it was at " + render_time(copy->at) + ", before " +
                  copy->tag};
    if (wanted.discard) {
        notes.push_back(losses + ", and what is written until then");
    }
    const json bound = {{"action", now.action},
                        {"app", now.app},
                        {"env", now.env},
                        {"snapshot", wanted.snapshot},
                        {"discard", wanted.discard},
                        {"losses", losses}};
    return {std::string(now.action),
            now.app,
            now.env,
            wanted.snapshot,
            crypto::sha256_hex(dump_json(bound)),
            now.actor,
            now.reason,
            dump_json({{"tag", wanted.snapshot}, {"discard", wanted.discard}, {"notes", notes}})};
}

}    // namespace

Result<approval::Asked> make_asked(store::Writer& writer, const Proposal& now) {
    if (now.action == approval::restore_action) {
        return restore_asked(now);
    }
    json details = {{"tag", now.content.tag}, {"components", json::object()}};
    json bound = {{"action", now.action},
                  {"app", now.app},
                  {"env", now.env},
                  {"release", now.content.release},
                  {"components", json::array()}};
    if (!now.content.migration.argv.empty()) {
        bound["migration"] = now.content.migration.argv;
        details["migration"] = {{"contract", now.content.migration.contract},
                                {"notes", now.content.migration.notes}};
    }
    if (!now.differences.empty()) {
        details["differences"] = bound["differences"] = now.differences;
    }
    if (!now.notes.empty()) {
        details["notes"] = now.notes;
    }
    if (!now.from.empty()) {
        details["from"] = now.from;
    }
    if (!now.rules_of.empty()) {
        details["rules_of"] = now.rules_of;
    }
    for (const auto& part : now.content.components) {
        details["components"][part.name] = part.image;
        bound["components"].push_back({part.name, part.image, part.argv});
    }
    TRY_ASSIGN(const auto row, writer.release(now.content.release));
    if (row) {
        TRY_ASSIGN(const auto release, release_of(*row));
        details["commit"] = bound["commit"] = release.commit;
    }
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    if (serving != now.standing.contents.end()) {
        details["serving"] = serving->second.tag;
    }
    return approval::Asked{std::string(now.action),
                           now.app,
                           now.env,
                           now.content.release,
                           crypto::sha256_hex(dump_json(bound)),
                           now.actor,
                           now.reason,
                           dump_json(details)};
}

store::Incident incident_of(const Proposal& now) {
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    const bool switched =
        serving != now.standing.contents.end() && serving->second.release == now.bad.release;
    return make_incident({now.app, now.env, now.bad.release, now.bad.tag, now.content.tag,
                          "rolled back by hand" + (now.reason.empty() ? "" : ": " + now.reason),
                          now.actor, switched});
}

}    // namespace seatrial::release
