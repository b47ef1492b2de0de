// What the handlers of releases, deployments and approvals share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "api/api.h"
#include "config/config.h"
#include "release/builder.h"
#include "release/variables.h"

namespace seatrial::api {

// For a cleanup: images of releases that nothing needs, as `images` of its report, and what is
// taken from the cache of builds (`build_cache` {bytes, freed}).
void drop_images(Services& services, bool dry_run, nlohmann::json& report, const Context& ctx);
// `invalid` with all faults at once.
Result<config::App> parse_app_of(const std::string& text, const std::string& name);

struct Wanted {
    std::string app, env;
    std::string release;    // id or tag
    std::string actor, reason;
    // Promoted from there: what differs is refused, unless it is allowed.
    std::string from{};
    bool allow_differences = false;
};
// As if it were built: for what is checked before.
release::Release draft_release(const config::App& app, const std::string& tag);
// Of files and variables, all at once, as `invalid`; `notes` gets what is only told.
Status check_place(const config::App& app, const release::Release& release,
                   const release::Content& content, const config::Server& server,
                   const config::Environment& environment, release::Reader& reader,
                   std::vector<std::string>& notes, const Context& ctx);
// Of each environment that takes releases: what is wrong with its files and sources, or odd, as
// lines.
nlohmann::json look_at_environments(const config::Server& server, const secrets::Sources& sources,
                                    const Context& ctx);
// With the environment's rules as they are now. `not_found` also when its images are gone.
Result<release::DeployRequest> make_deploy_request(Services& services, const Wanted& wanted,
                                                   const Context& ctx);
nlohmann::json deploying_json(const release::Deploying& in);
// 202, with what follows it or the approval that it waits for.
http::Response accepted(Services& services, const Result<release::Deploying>& in);
// Of ?app in ?env.
Result<std::vector<store::Life>> deployments(Services& services, const http::Request& request);

// Who decides about `action` there: without approvers root and the daemon's owner.
approval::Rules approval_rules(const Services& services, const config::Environment& environment,
                               std::string_view action);
nlohmann::json approval_json(Services& services, const store::Approval& approval);

}    // namespace seatrial::api
