// Approvals: what waits for a person, and the person's answer. Open to every user of this machine
// who is an approver somewhere; each handler looks who asks.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/handlers.h"
#include "api/releases.h"
#include "base/text.h"

namespace seatrial::api {
namespace {

using nlohmann::json;

constexpr int most_rows = 200;

bool is_owner(const Services& services, const http::Request& request) {
    return is_owner(services.info, request.peer);
}

std::string detail(const store::Approval& approval, const char* key) {
    const json data = json::parse(approval.data, nullptr, false);
    const auto found = data.find(key);
    return found != data.end() && found->is_string() ? found->get<std::string>() : "";
}

// Whose rules count: with a shared database those of another environment.
Result<config::Environment> environment_of(Services& services, const store::Approval& approval) {
    const auto server = services.parts.config.get();
    const std::string other = detail(approval, "rules_of");
    // Approvals are the server's alone: no app tightens or loosens them.
    return config::environment_for(*server, config::App(), other.empty() ? approval.env : other);
}

// Who decides about it now; empty when its environment is gone.
approval::Rules rules_for(Services& services, const store::Approval& approval) {
    const auto environment = environment_of(services, approval);
    return environment ? approval_rules(services, *environment, approval.action)
                       : approval::Rules();
}

// Owners may see all; an approver what there is to decide.
bool may_see(Services& services, const http::Request& request, const store::Approval& approval) {
    if (is_owner(services, request)) {
        return true;
    }
    const auto users =
        approval::users_among(rules_for(services, approval).approvers, approval::find_user);
    return std::ranges::find(users, request.peer.uid) != users.end();
}

Result<store::Approval> find_approval(Services& services, const http::Request& request) {
    const std::string id(request.param("id"));
    TRY_ASSIGN(auto found, services.parts.records.approval(id));
    if (!found || !may_see(services, request, *found)) {
        return fail(Code::not_found, "there is no request '" + printable(id) + "'",
                    "`seatrial approvals` lists them");
    }
    return std::move(*found);
}

// Starts what was asked for, as it was asked for: by whom, and why.
Result<release::Deploying> start(Services& services, const store::Approval& approval,
                                 const approval::Decision& decision, const Context& ctx) {
    if (approval.action == approval::rollback_action) {
        return services.releases.roll_back_approved(
            {approval.app, approval.env, approval.subject, approval.asked_by, approval.reason, {}},
            decision);
    }
    if (approval.action == approval::restore_action) {
        const json data = json::parse(approval.data, nullptr, false);
        return services.releases.restore_approved({approval.app,
                                                   approval.env,
                                                   approval.subject,
                                                   data.value("discard", false),
                                                   approval.asked_by,
                                                   approval.reason,
                                                   {}},
                                                  decision);
    }
    // The yes is bound to the differences that were shown: others are refused with it.
    const Wanted same{approval.app,
                      approval.env,
                      approval.subject,
                      approval.asked_by,
                      approval.reason,
                      detail(approval, "from"),
                      true};
    TRY_ASSIGN(const auto wanted, make_deploy_request(services, same, ctx));
    return services.releases.deploy_approved(wanted, decision);
}

http::Response decide(Services& services, const http::Request& request, bool yes,
                      const Context& ctx) {
    const auto body = parse_body(request, {{"reason", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    const auto decided = [&]() -> Result<json> {
        TRY_ASSIGN(const auto found, find_approval(services, request));
        const approval::Decision decision{found.id, yes, actor_of(request),
                                          body->value("reason", "")};
        TRY(approval::check_may_decide(rules_for(services, found), found, decision,
                                       approval::find_user));
        json out = json::object();
        if (yes) {
            TRY_ASSIGN(const auto started, start(services, found, decision, ctx));
            out["started"] = deploying_json(started);
        } else {
            TRY(services.releases.reject(decision));
        }
        TRY_ASSIGN(const auto after, services.parts.records.approval(found.id));
        out["approval"] = approval_json(services, after.value_or(found));
        return out;
    }();
    return decided ? answer(200, *decided) : http::problem(decided.error());
}

}    // namespace

approval::Rules approval_rules(const Services& services, const config::Environment& environment,
                               std::string_view action) {
    approval::Rules rules;
    rules.required = environment.approval &&
                     (action != approval::rollback_action || environment.approval_rollback);
    rules.unseen = action == approval::deploy_action && !environment.approval_off;
    rules.approvers = environment.approvers;
    rules.self = environment.approval_self;
    rules.expires = environment.approval_expires;
    if (rules.approvers.empty()) {
        rules.approvers.push_back(approval::person_of(0));
        if (services.info.owner != 0) {
            rules.approvers.push_back(approval::person_of(services.info.owner));
        }
    }
    return rules;
}

json approval_json(Services& services, const store::Approval& approval) {
    json out = json::parse(approval.data, nullptr, false);
    const bool over = approval.state == approval::open_state && now_utc() >= approval.expires_at;
    const auto person = [](const std::string& actor) {
        const auto uid = approval::uid_of_actor(actor);
        return uid ? approval::person_of(*uid) : actor;
    };
    out["id"] = approval.id;
    out["action"] = approval.action;
    out["app"] = approval.app;
    out["env"] = approval.env;
    out["release"] = approval.subject;
    out["state"] = over ? std::string(approval::expired_state) : approval.state;
    out["asked_by"] = person(approval.asked_by);
    out["asked_at"] = render_time(approval.asked_at);
    out["expires_at"] = render_time(approval.expires_at);
    out["reason"] = approval.reason;
    out["approvers"] = rules_for(services, approval).approvers;
    if (approval.decided_at) {
        out["decided_by"] = person(approval.decided_by);
        out["decided_at"] = render_time(*approval.decided_at);
        out["decision_reason"] = approval.decision_reason;
    }
    return out;
}

http::Response list_approvals(Services& services, const http::Request& request,
                              const Context& /*ctx*/) {
    const auto rows = services.parts.records.approvals(query(request, "app"), query(request, "env"),
                                                       query(request, "all") != "1", most_rows);
    if (!rows) {
        return http::problem(rows.error());
    }
    json out = json::array();
    for (const auto& row : *rows) {
        if (may_see(services, request, row)) {
            out.push_back(approval_json(services, row));
        }
    }
    return answer(200, out);
}

http::Response get_approval(Services& services, const http::Request& request,
                            const Context& /*ctx*/) {
    const auto found = find_approval(services, request);
    return found ? answer(200, approval_json(services, *found)) : http::problem(found.error());
}

http::Response post_approve(Services& services, const http::Request& request, const Context& ctx) {
    return decide(services, request, true, ctx);
}

http::Response post_reject(Services& services, const http::Request& request, const Context& ctx) {
    return decide(services, request, false, ctx);
}

}    // namespace seatrial::api
