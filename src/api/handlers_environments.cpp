// What environments get: checked, compared, synchronised from their sources. Names of variables,
// never values.
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/handlers.h"
#include "api/releases.h"
#include "base/text.h"
#include "log/log.h"
#include "release/compare.h"
#include "release/key_files.h"
#include "release/variables.h"
#include "secrets/sync.h"

namespace seatrial::api {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds source_patience{8};    // of who only looks

Result<const config::Environment*> find_environment(const config::Server& server,
                                                    const std::string& name) {
    const auto found = server.environments.find(name);
    if (found == server.environments.end()) {
        return fail(Code::not_found, "there is no environment '" + printable(name) + "'",
                    "`seatrial doctor` names those that take releases");
    }
    return &found->second;
}

// Those that are meant: one by its name, or all that take releases.
Result<std::vector<const config::Environment*>> meant(const config::Server& server,
                                                      const std::string& name) {
    std::vector<const config::Environment*> out;
    if (!name.empty()) {
        TRY_ASSIGN(const auto* one, find_environment(server, name));
        out.push_back(one);
        return out;
    }
    for (const auto& [key, environment] : server.environments) {
        if (!environment.release.listen.empty()) {
            out.push_back(&environment);
        }
    }
    return out;
}

Result<json> sync_one(const Services& services, const config::Environment& environment,
                      const config::SecretSource& source, const secrets::SyncWish& wish,
                      const Context& ctx) {
    TRY_ASSIGN(const auto values, services.sources.read(source, ctx));
    TRY_ASSIGN(const auto report, secrets::synchronise(source, values, wish));
    json changes = json::array();
    for (const auto& change : report.changes) {
        changes.push_back({{"name", change.name}, {"what", change.what}, {"file", change.file}});
    }
    if (report.written) {
        log::info("variables were synchronised", {{"env", environment.name},
                                                  {"source", config::name_of(source)},
                                                  {"file", source.sync.file}});
    }
    return json{{"env", environment.name},   {"source", config::name_of(source)},
                {"file", source.sync.file},  {"changes", changes},
                {"by_hand", report.by_hand}, {"written", report.written}};
}

Result<json> sync_all(const Services& services, const json& body, const Context& ctx) {
    const auto server = services.parts.config.get();
    const std::string env = body.value("env", "");
    TRY_ASSIGN(const auto environments, meant(*server, env));
    const secrets::SyncWish wish{body.value("dryRun", false), body.value("adopt", false)};
    json out = json::array();
    for (const auto* environment : environments) {
        for (const auto& source : environment->release.secrets) {
            if (source.sync.file.empty()) {
                continue;
            }
            TRY_ASSIGN(auto one, sync_one(services, *environment, source, wish, ctx));
            out.push_back(std::move(one));
        }
    }
    if (out.empty()) {
        return fail(Code::invalid,
                    "no source of " + (env.empty() ? "any environment" : printable(env)) +
                        " is synchronised",
                    "name a file in `sync` of one of its release.secrets in the server's file");
    }
    return out;
}

// All that a deploy would say about variables and files.
json check_one(const config::Server& server, config::App app,
               const config::Environment& environment, release::Reader& reader,
               const Context& ctx) {
    json bad = json::array();
    json odd = json::array();
    auto draft = draft_release(app, "this working tree");
    auto values = release::build_values(app, server, reader);
    if (values) {
        draft.values = std::move(*values);
    } else {
        bad.push_back(render_error(values.error()));
        std::erase_if(app.env, [](const config::EnvRule& rule) { return rule.build; });
    }
    auto faults = release::check_files(environment, ctx);
    const auto found = release::check_variables(app, release::make_content(draft, app, environment),
                                                draft.values, environment, reader);
    if (found) {
        faults.insert(faults.end(), found->begin(), found->end());
    } else if (bad.empty()) {
        bad.push_back(render_error(found.error()) + " (" + found.error().hint + ")");
    }
    for (const auto& fault : faults) {
        (fault.warning ? odd : bad).push_back(config::render_fault(fault));
    }
    const auto notes = release::environment_notes(server, environment, reader);
    for (const auto& note : notes.value_or(std::vector<std::string>())) {
        odd.push_back(note);
    }
    return {{"faults", bad}, {"notes", odd}};
}

Result<json> check_all(const Services& services, const json& body, const Context& ctx) {
    TRY_ASSIGN(const auto app,
               parse_app_of(body.value("appText", ""), body.value("appFile", "seatrial.yaml")));
    const auto server = services.parts.config.get();
    TRY_ASSIGN(const auto environments, meant(*server, body.value("env", "")));
    release::Reader reader(services.sources, ctx);
    json out = json::object();
    for (const auto* environment : environments) {
        out[environment->name] = check_one(*server, app, *environment, reader, ctx);
    }
    return out;
}

http::Response respond(const Result<json>& out) {
    return out ? answer(200, *out) : http::problem(out.error());
}

}    // namespace

release::Release draft_release(const config::App& app, const std::string& tag) {
    release::Release out;
    out.tag = tag;
    for (const auto& part : app.components) {
        if (part.is_released()) {
            out.components[part.name] = {};
        }
    }
    return out;
}

Status check_place(const config::App& app, const release::Release& release,
                   const release::Content& content, const config::Server& server,
                   const config::Environment& environment, release::Reader& reader,
                   std::vector<std::string>& notes, const Context& ctx) {
    auto faults = release::check_files(environment, ctx);
    TRY_ASSIGN(auto found,
               release::check_variables(app, content, release.values, environment, reader));
    for (auto& fault : found) {
        faults.push_back(std::move(fault));
    }
    TRY(release::refuse_faults(faults, "the variables and files of " + environment.name +
                                           " are not right for " + release.tag));
    for (const auto& fault : faults) {
        notes.push_back(config::render_fault(fault));
    }
    TRY_ASSIGN(auto odd, release::environment_notes(server, environment, reader));
    for (auto& note : odd) {
        notes.push_back(std::move(note));
    }
    return {};
}

json look_at_environments(const config::Server& server, const secrets::Sources& all,
                          const Context& ctx) {
    const Context patience = ctx.with_timeout(source_patience);
    release::Reader reader(all, patience);
    json out = json::object();
    for (const auto& [name, environment] : server.environments) {
        if (environment.release.listen.empty()) {
            continue;
        }
        json bad = json::array();
        json odd = json::array();
        auto faults = release::check_files(environment, ctx);
        if (const auto variables = reader.of(environment)) {
            faults.insert(faults.end(), (*variables)->faults.begin(), (*variables)->faults.end());
        } else {
            bad.push_back(variables.error().message + " (" + variables.error().hint + ")");
        }
        for (const auto& fault : faults) {
            (fault.warning ? odd : bad).push_back(config::render_fault(fault));
        }
        const auto notes = release::environment_notes(server, environment, reader);
        for (const auto& note : notes.value_or(std::vector<std::string>())) {
            odd.push_back(note);
        }
        json sources = json::array();
        for (const auto& source : environment.release.secrets) {
            sources.push_back(config::name_of(source));
            if (source.sync.file.empty()) {
                continue;
            }
            if (const auto answer = all.read(source, patience); !answer) {
                odd.push_back(answer.error().message);    // deploys read the files, and go on
            }
        }
        out[name] = {{"faults", bad}, {"notes", odd}, {"sources", sources}};
    }
    return out;
}

http::Response post_sync(Services& services, const http::Request& request, const Context& ctx) {
    const auto body =
        parse_body(request, {{"env", Kind::text}, {"dryRun", Kind::flag}, {"adopt", Kind::flag}});
    return body ? respond(sync_all(services, *body, ctx)) : http::problem(body.error());
}

http::Response post_check(Services& services, const http::Request& request, const Context& ctx) {
    const auto body = parse_body(
        request, {{"env", Kind::text}, {"appText", Kind::text}, {"appFile", Kind::text}});
    return body ? respond(check_all(services, *body, ctx)) : http::problem(body.error());
}

http::Response get_differences(Services& services, const http::Request& request,
                               const Context& ctx) {
    return respond([&]() -> Result<json> {
        const auto server = services.parts.config.get();
        TRY_ASSIGN(const auto* from, find_environment(*server, query(request, "from")));
        TRY_ASSIGN(const auto* to, find_environment(*server, query(request, "to")));
        release::Reader reader(services.sources, ctx);
        TRY_ASSIGN(const auto lines, release::differences(*from, *to, reader));
        return json(lines);
    }());
}

}    // namespace seatrial::api
