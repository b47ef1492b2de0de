// Releases: building them, and what was built.
#include <charconv>
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/handlers.h"
#include "api/releases.h"
#include "base/text.h"
#include "git/refs.h"
#include "log/log.h"
#include "release/retention.h"
#include "release/settings.h"
#include "release/variables.h"

namespace seatrial::api {
namespace {

using nlohmann::json;

constexpr int most_rows = 200;

json release_json(const release::Release& in) {
    json components = json::object();
    for (const auto& [name, part] : in.components) {
        components[name] = {{"image", part.image},
                            {"name", part.name},
                            {"kind", part.kind},
                            {"version", part.version}};
    }
    json out = {{"id", in.id},
                {"app", in.app},
                {"tag", in.tag},
                {"version", in.version},
                {"commit", in.commit},
                {"branch", in.branch},
                {"built_by", in.actor},
                {"at", render_time(in.at)},
                {"config_hash", in.config_hash},
                {"components", components},
                {"compatibility", in.compatibility}};
    if (!in.rejected.empty()) {
        out["rejected"] = in.rejected;
    }
    return out;
}

// Whatever comes of a build, its log ends.
struct EndOfLog {
    BuildLogs& logs;
    const std::string& build;
    ~EndOfLog() { logs.end(build); }
};

json dropped_json(const std::vector<release::DroppedImage>& images) {
    json out = json::array();
    for (const auto& image : images) {
        out.push_back({{"name", image.name}, {"bytes", image.bytes}});
    }
    return out;
}

// Before anything is built: what the environment that it is for would refuse anyway.
Status check_early(const config::Server& server, const release::BuildRequest& wanted,
                   const std::string& env, release::Reader& reader, const Context& ctx) {
    TRY_ASSIGN(const auto environment, config::environment_for(server, wanted.app, env));
    auto draft = draft_release(wanted.app, "commit " + wanted.commit.substr(0, 12));
    TRY(release::make_settings(draft, wanted.app, environment));
    const auto content = release::make_content(draft, wanted.app, environment);
    draft.values = wanted.values;
    std::vector<std::string> notes;
    return check_place(wanted.app, draft, content, server, environment, reader, notes, ctx);
}

// What is to be built, by the request alone; the commit is there.
Result<release::BuildRequest> build_request_of(const http::Request& request, const json& body,
                                               const std::string& build, const git::Mirror& mirror,
                                               const Context& ctx) {
    const std::string commit = body.value("commit", "");
    if (!git::is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is not a commit id");
    }
    release::BuildRequest wanted;
    wanted.app_text = body.value("appText", "");
    if (wanted.app_text.empty()) {
        return fail(Code::invalid, "there is no seatrial.yaml in this commit",
                    "run `seatrial init`, commit the file, and try again");
    }
    TRY_ASSIGN(wanted.app, parse_app_of(wanted.app_text, body.value("appFile", "seatrial.yaml")));
    wanted.commit = commit;
    wanted.branch = body.value("branchName", "");
    wanted.actor = actor_of(request);
    wanted.id = build;
    const auto has = mirror.has_commit(commit, ctx);
    if (!has.value_or(false)) {
        if (!has && has.error().code != Code::not_found) {
            return tl::unexpected(has.error());
        }
        return tl::unexpected(
            Error{Code::not_found, "the commit has not been sent yet", "", "", nullptr, "commit"});
    }
    return wanted;
}

// Of images and caches that nothing needs; the release is good whatever comes of this.
void clean_up(Services& services, const config::Server& server, const std::string& release,
              json& out, const Context& ctx) {
    const auto dropped = release::drop_unneeded(services.parts.records, services.engine,
                                                server.docker_keep, release, false, ctx);
    if (!dropped) {
        log::warn("images that nothing needs stay", dropped.error());
    }
    services.builds.drop_older_than(server.log_keep);
    const auto cache =
        release::trim_build_cache(services.engine, server.docker_cache_bytes, false, ctx);
    if (!cache) {
        log::warn("the cache of builds stays as it is", cache.error());
    }
    out["build_cache_freed"] = cache ? cache->freed : 0;
    out["dropped_images"] = dropped_json(dropped.value_or(std::vector<release::DroppedImage>()));
}

Result<json> build_release(Services& services, const http::Request& request, const json& body,
                           const std::string& build, const Context& ctx) {
    const git::Mirror mirror(services.parts.layout.data / "mirrors" /
                             services.manager.mirror_name(body.value("repository", ""), ""));
    TRY_ASSIGN(auto wanted, build_request_of(request, body, build, mirror, ctx));
    const auto server = services.parts.config.get();
    release::Reader reader(services.sources, ctx);
    TRY_ASSIGN(wanted.values, release::build_values(wanted.app, *server, reader));
    if (const std::string env = body.value("env", ""); !env.empty()) {
        TRY(check_early(*server, wanted, env, reader, ctx));
    }
    TRY_ASSIGN(wanted.means, release::choose_means(server->docker_builder,
                                                   services.parts.layout.data / "scratch", ctx));
    TRY_ASSIGN(wanted.means.logins, release::read_logins(server->docker_registries));
    auto& records = services.parts.records;
    TRY(release::make_room(records, services.engine, server->docker_keep,
                           server->docker_min_free_bytes, ctx));
    auto& log = services.builds;
    TRY(log.start(build));
    const EndOfLog end{log, build};
    const auto made = release::build(
        records, services.engine, mirror, wanted,
        [&](const std::string& component, std::string_view line) {
            log.add(build, component, line);
        },
        ctx);
    if (!made) {
        const std::string& why = made.error().message;
        log.add(build, "seatrial", "failed: " + why.substr(0, why.find('\n')));
        return tl::unexpected(made.error());
    }
    json out = release_json(*made);
    clean_up(services, *server, made->id, out, ctx);
    return out;
}

}    // namespace

void drop_images(Services& services, bool dry_run, json& report, const Context& ctx) {
    const auto dropped =
        release::drop_unneeded(services.parts.records, services.engine,
                               services.parts.config.get()->docker_keep, "", dry_run, ctx);
    if (!dropped) {
        report["unlisted"].push_back(
            {{"type", "images of releases"}, {"error", render_error(dropped.error())}});
    }
    report["images"] = dropped_json(dropped.value_or(std::vector<release::DroppedImage>()));
    const auto built = services.parts.records.releases("", 1);
    if (!built || built->empty()) {
        return;    // no reason to ask an engine
    }
    const auto cache = release::trim_build_cache(
        services.engine, services.parts.config.get()->docker_cache_bytes, dry_run, ctx);
    if (!cache) {
        report["unlisted"].push_back(
            {{"type", "cache of builds"}, {"error", render_error(cache.error())}});
        return;
    }
    report["build_cache"] = {{"bytes", cache->bytes}, {"freed", cache->freed}};
}

Result<config::App> parse_app_of(const std::string& text, const std::string& name) {
    auto parsed = config::parse_app(text, name, true);
    if (!parsed.ok()) {
        return tl::unexpected(config::faults_to_error(parsed.faults));
    }
    return std::move(parsed.value);
}

http::Response post_release(Services& services, const http::Request& request, const Context& ctx) {
    const auto body = parse_body(request, {{"appText", Kind::text},
                                           {"appFile", Kind::text},
                                           {"repository", Kind::text},
                                           {"commit", Kind::text},
                                           {"build", Kind::text},
                                           {"branchName", Kind::text},
                                           {"env", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    std::string build = body->value("build", "");
    build = build.empty() ? release::make_id() : build;
    const auto built = build_release(services, request, *body, build, ctx);
    const bool missing = !built && built.error().mark == "commit";
    if (!missing) {
        services.builds.refuse(build);    // when it was not even begun
        return built ? answer(201, *built) : http::problem(built.error());
    }
    const std::string mirror = services.manager.mirror_name(body->value("repository", ""), "");
    const auto known = services.manager.known_commits(mirror, ctx);
    if (!known) {
        return http::problem(known.error());
    }
    return answer(409, {{"code", "commit_missing"},
                        {"title", built.error().message},
                        {"mirror", mirror},
                        {"known", *known}});
}

http::Response get_build_log(Services& services, const http::Request& request,
                             const Context& /*ctx*/) {
    const std::string build(request.param("build"));
    const auto text = services.builds.read(build);
    return text ? answer(200, {{"build", build}, {"text", *text}}) : http::problem(text.error());
}

http::Response stream_build(Services& services, const http::Request& request,
                            const std::shared_ptr<http::EventStream>& stream,
                            const Context& /*ctx*/) {
    std::string from(request.header("last-event-id").value_or(""));
    from = from.empty() ? query(request, "after") : from;
    long after = 0;
    std::from_chars(from.data(), from.data() + from.size(), after);
    const auto following =
        services.builds.follow(stream, std::string(request.param("build")), after);
    return following ? http::Response{} : http::problem(following.error());
}

http::Response list_releases(Services& services, const http::Request& request,
                             const Context& /*ctx*/) {
    const auto rows = services.parts.records.releases(query(request, "app"), most_rows);
    if (!rows) {
        return http::problem(rows.error());
    }
    json out = json::array();
    for (const auto& row : *rows) {
        const auto found = release::release_of(row);
        if (!found) {
            return http::problem(found.error());
        }
        out.push_back(release_json(*found));
    }
    return answer(200, out);
}

}    // namespace seatrial::api
