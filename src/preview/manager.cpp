#include "preview/manager.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "admit/admit.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "preview/ports.h"
#include "preview/status.h"
#include "process/listeners.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
constexpr std::size_t key_limit = 250;
constexpr int uid_slots = 1000;

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

Result<std::set<int>> taken_ports(store::Records& records) {
    std::set<int> taken;
    TRY_ASSIGN(const auto listeners, process::tcp_listeners());
    for (const auto& listener : listeners) {
        taken.insert(listener.port);
    }
    TRY_ASSIGN(const auto slots, records.slots("port", "host"));
    for (const auto& slot : slots) {
        taken.insert(static_cast<int>(slot.number));
    }
    return taken;
}

// The lowest free uid slot without a living process, for `life` ("" = kept for installs).
Result<int> take_uid(store::Writer& writer, const process::Runner& runner, const std::string& life,
                     const std::string& role) {
    for (int number = 0; number < uid_slots; ++number) {
        TRY_ASSIGN(const bool taken, writer.take_slot({"uid", "host", number, life, role}));
        if (!taken) {
            continue;
        }
        TRY_ASSIGN(const bool idle, runner.uid_idle(number));
        if (idle) {
            return number;
        }
        TRY(writer.free_slot("uid", "host", number));
    }
    return fail(Code::unavailable, "all user slots are taken", "stop previews");
}

void apply_policy(Spec& spec, const UpRequest& request, const config::Server& server,
                  const config::Environment& environment) {
    spec.provider = environment.provider;
    spec.ttl_ms = environment.ttl.count();
    if (request.ttl && *request.ttl < environment.ttl) {
        spec.ttl_ms = request.ttl->count();
    }
    spec.warn_before_ms = environment.warn_before.count();
    spec.keep_failed_ms = request.keep_failed.count();
    spec.memory_bytes = environment.limits.memory_bytes;
    spec.cpu_percent = environment.limits.cpu_percent;
    spec.pids = environment.limits.pids;
    spec.min_isolation = environment.min_isolation;
    spec.on_reboot = environment.on_reboot;
    spec.environment_env = environment.env;
    spec.host = server.host;
    spec.env_files = server.env_files;
    spec.log_bytes = server.log_bytes;
}

void apply_request(Spec& spec, const UpRequest& request, const std::string& mirror) {
    spec.branch = request.branch;
    spec.base_branch = request.base_branch;
    spec.commit = request.commit;
    spec.mirror = mirror;
    spec.repository = request.repository;
    spec.remote = request.remote;
    spec.requested_by = request.actor;
    spec.app_file = request.app_file;
    spec.app_text = request.app_text;
    spec.variables = request.variables;
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
                                    "commit " + request.commit + " has not been sent yet", "",
                                    "commit", nullptr});
    }
    return admit_up(request, app, environment);
}

Result<Wanted> Manager::admit_up(const UpRequest& request, const config::App& app,
                                 const config::Environment& environment) {
    const auto server = parts_.config.get();
    TRY_ASSIGN(const auto taken, taken_ports(parts_.records));
    struct statvfs disk{};
    if (::statvfs(parts_.layout.data.c_str(), &disk) != 0) {
        return fail_errno("cannot read the free disk space", errno);
    }
    admit::Proposal proposal{app.name,
                             request.key,
                             environment.name,
                             request.branch,
                             parts_.runner.isolation().level,
                             static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize),
                             false};
    Wanted wanted;
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(auto existing, writer.live(app.name, request.key, environment.name));
        store::Life life;
        Spec spec;
        if (existing) {
            life = *existing;
            TRY_ASSIGN(spec, parse_spec(life.spec));
            if (spec.branch != request.branch && !request.replace) {
                return fail(Code::refused,
                            subject_of(life) + " runs branch " + printable(spec.branch) + ", not " +
                                printable(request.branch),
                            "give it another key with --issue, or move it with --replace");
            }
            TRY_ASSIGN(const auto owned, writer.count_owned(life.id));
            if (life.state == "failed" && owned == 0) {
                // A failed first start holds nothing: a new life takes its place.
                life.wanted = false;
                TRY(writer.add_event(change_state(life, "removed", request.actor, "replaced")));
                TRY(writer.put_life(life));
                TRY(writer.free_slots(life.id));
                existing.reset();
            }
        }
        proposal.update = existing.has_value();
        TRY(admit::check_policy(proposal, *server, environment));
        if (!existing) {
            TRY_ASSIGN(const auto lives, writer.wanted_in(environment.name));
            std::vector<admit::Occupant> occupants;
            for (const auto& other : lives) {
                occupants.push_back({other.app, other.key, other.state, other.expires_at});
            }
            TRY(admit::check_room(proposal, environment, occupants));
            life = store::Life{};
            spec = Spec{};
            life.created_at = now_utc();
            life.id = make_ulid(life.created_at.time_since_epoch().count(), crypto::random_u64(),
                                crypto::random_u64());
            life.app = app.name;
            life.key = request.key;
            life.env = environment.name;
            life.status = "{}";
            spec.life = life.id;
            spec.app = app.name;
            spec.key = request.key;
            spec.env = environment.name;
            if (parts_.runner.privileged()) {
                TRY_ASSIGN(spec.uid_slot, take_uid(writer, parts_.runner, life.id, "preview"));
            }
        }
        if (app.install && parts_.runner.privileged() && spec.install_uid_slot < 0) {
            const std::string role = "install:" + app.name;
            TRY_ASSIGN(const auto kept, writer.slot_of_role("uid", "host", role));
            if (kept) {
                spec.install_uid_slot = static_cast<int>(*kept);
            } else {
                TRY_ASSIGN(spec.install_uid_slot, take_uid(writer, parts_.runner, "", role));
            }
        }
        apply_request(spec, request, mirror_name(request.repository, request.remote));
        if (!app.base_branch.empty()) {
            TRY_ASSIGN(spec.base_branch, git::parse_branch(app.base_branch));
        }
        apply_policy(spec, request, *server, environment);
        if (request.fresh_template) {
            TRY(writer.set_meta("template:" + app.database.source,
                                life.id + "/" + std::to_string(life.generation)));
        }
        if (!request.fresh_database.empty()) {
            ++spec.database_serial;
            spec.names.database.clear();
            spec.empty_database = request.fresh_database == "empty";
        }
        const auto before = spec.ports;
        std::erase_if(spec.ports, [&](const auto& item) {
            return std::ranges::none_of(app.components, [&](const config::Component& component) {
                return component.name == item.first && !component.port.empty();
            });
        });
        TRY(choose_ports(app, *server, taken, spec.ports));
        for (const auto& [component, port] : spec.ports) {
            if (!before.contains(component)) {
                TRY_ASSIGN(const bool free,
                           writer.take_slot({"port", "host", port, life.id, component}));
                if (!free) {
                    return fail(Code::unavailable,
                                "port " + std::to_string(port) + " was just taken");
                }
            }
        }
        choose_names(spec, app, parts_.instance);
        std::erase_if(spec.names.runs, [&](const auto& item) {
            return std::ranges::none_of(app.components, [&](const config::Component& component) {
                return component.name == item.first;
            });
        });
        ++life.generation;
        life.expires_at = now_utc() + std::chrono::milliseconds(spec.ttl_ms);
        life.warned = false;
        life.spec = render_spec(spec);
        json status = status_of(life);
        status.erase("waiting");
        status.erase("restarts");
        status.erase("port_moves");
        if (life.state == "running") {
            status["operation"] = {
                {"kind", "update"}, {"state", "updating"}, {"commit", spec.commit}};
        }
        set_status(life, status);
        auto event = make_event(
            life, request.actor, "wanted",
            {{"commit", spec.commit}, {"branch", spec.branch}, {"update", existing.has_value()}});
        if (life.state != "running" && life.state != "starting") {
            TRY(writer.add_event(change_state(life, "starting", request.actor, "")));
        }
        TRY(writer.put_life(life));
        TRY(writer.add_event(event));
        TRY_ASSIGN(wanted.after, writer.last_event());
        --wanted.after;    // the stream shows the wanted event itself
        wanted.life = life.id;
        wanted.generation = life.generation;
        wanted.update = existing.has_value();
        return Status{};
    }));
    reconciler_.supersede(wanted.life);
    return wanted;
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
    Wanted wanted{life.id, 0, 0, true};
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(auto current, writer.life(life.id));
        if (!current) {
            return fail(Code::not_found, "the preview is gone");
        }
        TRY_ASSIGN(wanted.after, writer.last_event());
        wanted.generation = current->generation;
        if (!current->wanted) {
            return {};    // asked for already; the receipt will come or has come
        }
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
