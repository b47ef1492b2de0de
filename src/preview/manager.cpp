#include "preview/manager.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "preview/status.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
constexpr std::size_t key_limit = 250;

std::string subject_of(const store::Life& life) {
    return life.app + "/" + printable(life.key) + " in " + life.env;
}

Result<config::App> parse_request_app(const UpRequest& request) {
    config::App app;
    if (request.app_text.empty()) {
        if (request.variables.empty()) {
            return fail(Code::invalid, "there is no seatrial.yaml in this commit",
                        "run `seatrial init`, commit the file, and try again");
        }
        app = config::app_from_variables(request.variables, request.app_name);
    } else {
        auto parsed = config::parse_app(request.app_text, request.app_file, request.embedded);
        if (!parsed.ok()) {
            return tl::unexpected(config::faults_to_error(parsed.faults));
        }
        app = std::move(parsed.value);
    }
    return app;
}

}    // namespace

std::string Manager::mirror_name(const std::string& repository, const std::string& remote) const {
    const std::string& identity = repository.empty() ? remote : repository;
    const auto slash = identity.find_last_of('/');
    std::string base = slash == std::string::npos ? identity : identity.substr(slash + 1);
    if (base == ".git") {
        base = std::filesystem::path(identity).parent_path().filename();
    }
    return make_name(parts_.instance, base, crypto::sha256_hex(identity));
}

Result<Wanted> Manager::up(const UpRequest& raw, const Context& ctx) {
    UpRequest request = raw;
    TRY(check_label("the issue key", request.key, key_limit));
    if (!request.branch.empty()) {
        TRY_ASSIGN(request.branch, git::parse_branch(request.branch));
    }
    if (!request.remote.empty()) {
        TRY_ASSIGN(request.remote, git::parse_remote(request.remote));
    }
    if (request.repository.empty() && request.remote.empty()) {
        return fail(Code::invalid, "neither a repository nor a remote was named");
    }
    const git::Mirror mirror(parts_.layout.data / "mirrors" /
                             mirror_name(request.repository, request.remote));
    if (request.commit.empty()) {
        if (request.remote.empty() || request.branch.empty()) {
            return fail(Code::invalid, "a commit, or a remote with a branch, is needed");
        }
        TRY(mirror.ensure(ctx));
        TRY_ASSIGN(request.commit, mirror.fetch(request.remote, request.branch, ctx));
        auto text = mirror.read_blob(request.commit, request.app_file, ctx);
        if (!text && text.error().code != Code::not_found) {
            return tl::unexpected(std::move(text).error());
        }
        request.app_text = text.value_or("");
    } else if (!git::is_commit_id(request.commit)) {
        return fail(Code::invalid, "'" + printable(request.commit) + "' is not a commit id");
    }
    if (!request.base_commit.empty() && !git::is_commit_id(request.base_commit)) {
        return fail(Code::invalid, "'" + printable(request.base_commit) + "' is not a commit id");
    }
    TRY_ASSIGN(config::App app, parse_request_app(request));
    config::Server server = *parts_.config.get();
    const auto faults = config::apply_variables(request.variables, app, server);
    for (const auto& fault : faults) {
        if (!fault.warning) {
            return tl::unexpected(config::faults_to_error(faults));
        }
    }
    const std::string env = request.env.empty() ? server.default_environment : request.env;
    TRY_ASSIGN(const config::Environment environment, config::environment_for(server, app, env));
    auto has = mirror.has_commit(request.commit, ctx);
    if (!has && has.error().code != Code::not_found) {
        return tl::unexpected(std::move(has).error());
    }
    if (!has.value_or(false)) {
        return tl::unexpected(Error{Code::not_found,
                                    "commit " + request.commit + " has not been sent yet", "", "",
                                    nullptr, "commit"});
    }
    return admit_up(request, app, environment);
}

Result<std::vector<std::string>> Manager::known_commits(const std::string& mirror,
                                                        const Context& ctx) {
    if (!is_our_name(parts_.instance, mirror)) {
        return fail(Code::invalid, "not a mirror of this server");
    }
    const git::Mirror target(parts_.layout.data / "mirrors" / mirror);
    TRY(target.ensure(ctx));
    return target.tips(ctx);
}

Status Manager::receive_bundle(const std::string& mirror, const std::filesystem::path& bundle,
                               const std::string& commit, const Context& ctx) {
    if (!is_our_name(parts_.instance, mirror)) {
        return fail(Code::invalid, "not a mirror of this server");
    }
    if (!git::is_commit_id(commit)) {
        return fail(Code::invalid, "not a commit id");
    }
    const git::Mirror target(parts_.layout.data / "mirrors" / mirror);
    TRY(target.ensure(ctx));
    return target.receive_bundle(bundle, commit, ctx);
}

Result<store::Life> Manager::find(const Address& address, bool removed) {
    store::LifeFilter filter;
    filter.key = address.key;
    filter.app = address.app;
    filter.env = address.env;
    filter.removed = removed;
    TRY_ASSIGN(auto lives, parts_.records.lives(filter));
    if (lives.empty() && address.app.empty()) {
        const auto slash = address.key.find('/');
        if (slash != std::string::npos) {
            return find({address.key.substr(slash + 1), address.key.substr(0, slash), address.env},
                        removed);
        }
    }
    // The living one is meant when there is one; else the newest.
    std::vector<store::Life> wanted;
    for (const auto& life : lives) {
        if (life.wanted && life.state != "removed") {
            wanted.push_back(life);
        }
    }
    if (wanted.size() > 1) {
        std::vector<std::string> candidates;
        for (const auto& life : wanted) {
            candidates.push_back(subject_of(life));
        }
        return fail(Code::invalid,
                    printable(address.key) + " is ambiguous: " + join(candidates, ", "),
                    "write app/KEY, or add --env");
    }
    if (wanted.size() == 1) {
        return wanted.front();
    }
    if (!lives.empty()) {
        return lives.back();
    }
    TRY_ASSIGN(const auto all, parts_.records.lives({}));
    std::vector<std::string_view> keys;
    for (const auto& life : all) {
        keys.emplace_back(life.key);
    }
    const auto close = suggest(address.key, keys);
    return fail(
        Code::not_found, "there is no preview " + printable(address.key),
        close ? "did you mean " + printable(*close) + "?" : "`seatrial ls` shows what there is");
}

Result<Wanted> Manager::stop(const store::Life& life, const std::string& actor,
                             const std::string& reason) {
    TRY(failpoint("preview.stop"));
    Wanted wanted{life.id, 0, 0, true};
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(auto current, writer.life(life.id));
        if (!current) {
            return fail(Code::not_found, "the preview is gone");
        }
        wanted.generation = current->generation;
        if (!current->wanted) {
            return {};    // asked for already: the receipt will come, or is among the events so far
        }
        TRY_ASSIGN(wanted.after, writer.last_event());
        current->wanted = false;
        wanted.generation = ++current->generation;
        json status = status_of(*current);
        status["reason"] = reason;
        status.erase("operation");
        set_status(*current, status);
        TRY(writer.put_life(*current));
        return writer.add_event(make_event(*current, actor, "unwanted", {{"reason", reason}}));
    }));
    reconciler_.supersede(life.id);
    return wanted;
}

Result<store::Life> Manager::extend(const store::Life& life, std::chrono::milliseconds by,
                                    const std::string& actor) {
    store::Life result = life;
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(auto current, writer.life(life.id));
        if (!current || !current->wanted) {
            return fail(Code::refused, subject_of(life) + " is already ending",
                        "start it again with `seatrial up`");
        }
        const auto base = std::max(now_utc(), current->expires_at.value_or(now_utc()));
        current->expires_at = base + by;
        current->warned = false;
        result = *current;
        TRY(writer.put_life(*current));
        return writer.add_event(make_event(*current, actor, "ttl",
                                           {{"expires_at", render_time(*current->expires_at)}}));
    }));
    return result;
}

Result<store::Life> Manager::pin(const store::Life& life, bool pinned, const std::string& actor) {
    store::Life result = life;
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(auto current, writer.life(life.id));
        if (!current || !current->wanted) {
            return fail(Code::refused, subject_of(life) + " is already ending");
        }
        current->pinned = pinned;
        result = *current;
        TRY(writer.put_life(*current));
        return writer.add_event(make_event(*current, actor, "ttl", {{"pinned", pinned}}));
    }));
    return result;
}

Result<std::vector<store::Life>> Manager::expire(WallTime now, int limit, bool dry_run,
                                                 const std::string& actor) {
    TRY_ASSIGN(auto lives, parts_.records.expiring(now, limit));
    if (!dry_run) {
        for (const auto& life : lives) {
            TRY(stop(life, actor, "ttl"));
        }
    }
    return lives;
}

Status Manager::warn_expiring(WallTime now) {
    TRY_ASSIGN(const auto lives, parts_.records.unwarned(now + std::chrono::hours(24 * 14), 1000));
    for (const auto& life : lives) {
        const auto spec = parse_spec(life.spec);
        if (!spec || *life.expires_at - std::chrono::milliseconds(spec->warn_before_ms) > now) {
            continue;
        }
        TRY(parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
            TRY_ASSIGN(auto current, writer.life(life.id));
            if (!current || current->warned) {
                return {};
            }
            current->warned = true;
            TRY(writer.put_life(*current));
            return writer.add_event(
                make_event(*current, "timer", "ttl",
                           {{"warning", true}, {"expires_at", render_time(*life.expires_at)}}));
        }));
    }
    return {};
}

}    // namespace seatrial::preview
