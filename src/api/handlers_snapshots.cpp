// Copies of databases that were made before migrations, and the way back to them.
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/handlers.h"
#include "api/releases.h"
#include "base/text.h"

namespace seatrial::api {

using nlohmann::json;

http::Response post_restore(Services& services, const http::Request& request,
                            const Context& /*ctx*/) {
    const auto body = parse_body(request, {{"app", Kind::text},
                                           {"env", Kind::text},
                                           {"snapshot", Kind::text},
                                           {"discard", Kind::flag},
                                           {"reason", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    release::RestoreRequest wanted{body->value("app", ""),
                                   body->value("env", ""),
                                   body->value("snapshot", ""),
                                   body->value("discard", false),
                                   actor_of(request),
                                   body->value("reason", ""),
                                   {}};
    const auto server = services.parts.config.get();
    const auto environment = server->environments.find(wanted.env);
    if (environment == server->environments.end()) {
        return http::problem(Error{Code::not_found,
                                   "there is no environment '" + printable(wanted.env) + "'",
                                   "name it in the server's file", "env", nullptr});
    }
    wanted.rules = approval_rules(services, environment->second, approval::restore_action);
    return accepted(services, services.releases.restore(wanted));
}

http::Response list_snapshots(Services& services, const http::Request& request,
                              const Context& /*ctx*/) {
    const auto lives = deployments(services, request);
    if (!lives) {
        return http::problem(lives.error());
    }
    json out = json::array();
    for (const auto& life : *lives) {
        const auto standing = release::parse_standing(life.status);
        if (!standing) {
            return http::problem(standing.error());
        }
        for (const auto& one : standing->snapshots) {
            out.push_back({{"id", one.id},
                           {"app", life.app},
                           {"env", life.env},
                           {"at", render_time(one.at)},
                           {"before", one.tag},
                           {"serving", one.serving},
                           {"bytes", one.bytes}});
        }
    }
    return answer(200, out);
}

}    // namespace seatrial::api
