#include "approval/approval.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"

namespace seatrial::approval {
namespace {

using nlohmann::json;

store::Event make_event(const store::Approval& approval, const std::string& actor, WallTime now,
                        const json& more = json::object()) {
    json data = {{"state", approval.state}, {"env", approval.env}};
    data.update(json::parse(approval.data, nullptr, false));
    data.update(more);
    if (!approval.decision_reason.empty()) {
        data["decision_reason"] = approval.decision_reason;
    }
    store::Event event;
    event.at = now;
    event.life = approval.id;
    event.actor = actor;
    event.kind = event_kind;
    event.data = data.dump(-1, ' ', false, json::error_handler_t::replace);
    return event;
}

// The one way out of `open`: whoever comes second finds it closed.
Status end(store::Writer& writer, store::Approval& approval, std::string_view state,
           const std::string& by, const std::string& reason, WallTime now,
           const json& more = json::object()) {
    approval.state = state;
    approval.decided_by = by;
    approval.decided_at = now;
    approval.decision_reason = reason;
    TRY_ASSIGN(const bool first, writer.settle_approval(approval));
    if (!first) {
        return fail(Code::conflict, "the request " + approval.id + " has ended already");
    }
    return writer.add_event(make_event(approval, by, now, more));
}

Status check_open(const store::Approval& approval, WallTime now) {
    const std::string again = "`seatrial " + approval.action + "` asks again";
    if (approval.state == open_state) {
        if (now < approval.expires_at) {
            return {};
        }
        return fail(
            Code::conflict,
            "the request " + approval.id + " expired at " + render_time(approval.expires_at),
            again);
    }
    const std::string when =
        approval.decided_at ? " at " + render_time(*approval.decided_at) : std::string();
    const std::string who =
        approval.state == expired_state ? "" : " by " + printable(approval.decided_by);
    return fail(Code::conflict,
                "the request " + approval.id +
                    (approval.state == expired_state ? " expired" : " was " + approval.state) +
                    when + who,
                approval.state == approved_state ? "it is decided once" : again);
}

}    // namespace

Status check_possible(const Rules& rules, const std::string& actor, const FindUser& find_user) {
    auto users = users_among(rules.approvers, find_user);
    if (users.empty()) {
        return fail(Code::refused,
                    "nobody can approve: none of " + join(rules.approvers, ", ") +
                        " is a user of this machine",
                    "name one in `approval.approvers`, as \"unix:NAME\"");
    }
    const auto self = uid_of_actor(actor);
    if (!rules.self && self) {
        std::erase(users, *self);
        if (users.empty()) {
            return fail(Code::refused,
                        "nobody can approve: you are the only approver, and `approval.self: false` "
                        "forbids to approve what one has asked for",
                        "name another one in `approval.approvers`, or let somebody else ask");
        }
    }
    return {};
}

Status check_may_decide(const Rules& rules, const store::Approval& approval,
                        const Decision& decision, const FindUser& find_user) {
    const auto uid = uid_of_actor(decision.actor);
    const bool own = uid && uid_of_actor(approval.asked_by) == uid;
    if (own && !decision.yes) {
        return {};
    }
    const auto users = users_among(rules.approvers, find_user);
    if (!uid || std::ranges::find(users, *uid) == users.end()) {
        return fail(Code::refused,
                    printable(decision.actor) + " is no approver of releases in " + approval.env,
                    "ask one of: " + join(rules.approvers, ", "));
    }
    if (!rules.self && own) {
        return fail(Code::refused, "you asked for it, and `approval.self` is false",
                    "ask one of the others: " + join(rules.approvers, ", "));
    }
    return {};
}

Result<Opened> ask(store::Writer& writer, const Asked& asked, const Rules& rules, WallTime now) {
    TRY(expire(writer, now));
    TRY_ASSIGN(auto open, writer.open_approvals(asked.app, asked.env));
    for (auto& other : open) {
        if (other.digest == asked.digest && other.action == asked.action) {
            return Opened{std::move(other), false};
        }
        TRY(end(writer, other, superseded_state, asked.actor, "a newer request", now));
    }
    Opened out;
    out.fresh = true;
    store::Approval& approval = out.approval;
    approval.id =
        make_ulid(now.time_since_epoch().count(), crypto::random_u64(), crypto::random_u64());
    approval.action = asked.action;
    approval.app = asked.app;
    approval.env = asked.env;
    approval.subject = asked.subject;
    approval.digest = asked.digest;
    approval.state = open_state;
    approval.asked_by = asked.actor;
    approval.reason = asked.reason;
    approval.asked_at = now;
    approval.expires_at = now + rules.expires;
    approval.data = asked.details;
    TRY(writer.add_approval(approval));
    TRY(writer.add_event(make_event(approval, asked.actor, now, {{"reason", asked.reason}})));
    return out;
}

Result<store::Approval> decide(store::Writer& writer, const Decision& decision,
                               const std::string& digest, const std::string& started,
                               WallTime now) {
    TRY_ASSIGN(auto found, writer.approval(decision.id));
    if (!found) {
        return fail(Code::not_found, "there is no request '" + printable(decision.id) + "'",
                    "`seatrial approvals` lists them");
    }
    TRY(check_open(*found, now));
    if (!decision.yes) {
        if (decision.reason.empty()) {
            return fail(Code::invalid, "a rejection needs a reason", "give it with --reason");
        }
        TRY(end(writer, *found, rejected_state, decision.actor, decision.reason, now));
        return *found;
    }
    if (found->digest != digest) {
        return fail(Code::refused,
                    "what would run now is not what approval was asked for in " + found->id,
                    "ask again: `seatrial " + found->action + "`");
    }
    TRY(end(writer, *found, approved_state, decision.actor, decision.reason, now,
            json::parse(started, nullptr, false)));
    return *found;
}

Status supersede(store::Writer& writer, const std::string& app, const std::string& env,
                 const std::string& by, const std::string& but, WallTime now) {
    TRY(expire(writer, now));
    TRY_ASSIGN(auto open, writer.open_approvals(app, env));
    for (auto& other : open) {
        if (other.id != but) {
            TRY(end(writer, other, superseded_state, by, "something newer is wanted", now));
        }
    }
    return {};
}

Status expire(store::Writer& writer, WallTime now) {
    TRY_ASSIGN(auto due, writer.overdue_approvals(now));
    for (auto& approval : due) {
        TRY(end(writer, approval, expired_state, "timer", "nobody decided in time", now));
    }
    return {};
}

}    // namespace seatrial::approval
