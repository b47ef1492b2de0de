// What is asked for becomes wanted: policy, room, names, ports and user, in one transaction.
#include <sys/statvfs.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "admit/admit.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/refs.h"
#include "preview/manager.h"
#include "preview/ports.h"
#include "preview/status.h"
#include "process/listeners.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
constexpr int uid_slots = 1000;

Result<std::set<int>> listened_ports() {
    std::set<int> taken;
    TRY_ASSIGN(const auto listeners, process::tcp_listeners());
    for (const auto& listener : listeners) {
        taken.insert(listener.port);
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
    spec.fork = request.base_commit;
    spec.commit = request.commit;
    spec.mirror = mirror;
    spec.repository = request.repository;
    spec.remote = request.remote;
    spec.requested_by = request.actor;
    spec.app_file = request.app_file;
    spec.app_text = request.app_text;
    spec.variables = request.variables;
}

// One request on its way in; lives inside the transaction.
struct Admission {
    const Parts& parts;
    const UpRequest& request;
    const config::App& app;
    const config::Server& server;
    const config::Environment& environment;
    store::Writer& writer;
    store::Life life;
    Spec spec;
    bool update = false;
};

bool has_port(const config::App& app, const std::string& name) {
    return std::ranges::any_of(app.components, [&](const config::Component& component) {
        return component.name == name && !component.port.empty();
    });
}

// The life that stands for this subject, if it can be moved on.
Status find_existing(Admission& in) {
    TRY_ASSIGN(const auto existing,
               in.writer.live("preview", in.app.name, in.request.key, in.environment.name));
    if (!existing) {
        return {};
    }
    in.life = *existing;
    TRY_ASSIGN(in.spec, parse_spec(in.life.spec));
    if (in.spec.branch != in.request.branch && !in.request.replace) {
        return fail(Code::refused,
                    in.life.app + "/" + printable(in.life.key) + " in " + in.life.env +
                        " runs branch " + printable(in.spec.branch) + ", not " +
                        printable(in.request.branch),
                    "give it another key with --issue, or move it with --replace");
    }
    TRY_ASSIGN(const auto owned, in.writer.count_owned(in.life.id));
    if (in.life.state == "failed" && owned == 0) {
        // A failed first start holds nothing: a new life takes its place.
        in.life.wanted = false;
        TRY(in.writer.add_event(change_state(in.life, "removed", in.request.actor, "replaced")));
        TRY(in.writer.put_life(in.life));
        return in.writer.free_slots(in.life.id);
    }
    in.update = true;
    return {};
}

Status begin_life(Admission& in, const admit::Proposal& proposal) {
    TRY_ASSIGN(const auto lives, in.writer.wanted_in("preview", in.environment.name));
    std::vector<admit::Occupant> occupants;
    for (const auto& other : lives) {
        if (!other.pinned && other.expires_at && *other.expires_at <= now_utc()) {
            continue;    // it ends as fast as this machine can
        }
        if (other.state == "failed") {
            TRY_ASSIGN(const auto owned, in.writer.count_owned(other.id));
            if (owned == 0) {
                continue;    // its story is kept, its place is free
            }
        }
        occupants.push_back({other.app, other.key, other.state, other.expires_at});
    }
    TRY(admit::check_room(proposal, in.environment, occupants));
    in.life = store::Life{};
    in.spec = Spec{};
    in.life.created_at = now_utc();
    in.life.id = make_ulid(in.life.created_at.time_since_epoch().count(), crypto::random_u64(),
                           crypto::random_u64());
    in.life.app = in.spec.app = in.app.name;
    in.life.key = in.spec.key = in.request.key;
    in.life.env = in.spec.env = in.environment.name;
    in.life.status = "{}";
    in.spec.life = in.life.id;
    return {};
}

// A preview that moved here from another provider may have none yet.
Status choose_user(Admission& in) {
    const auto provider = provider_of(in.parts, in.spec);
    TRY(provider);
    if (!(*provider)->needs_user() || !in.parts.runner.privileged() || in.spec.uid_slot >= 0) {
        return {};
    }
    TRY_ASSIGN(in.spec.uid_slot, take_uid(in.writer, in.parts.runner, in.life.id, "preview"));
    return {};
}

// Installs of one app share a user, so that its package cache can be theirs.
Status choose_install_user(Admission& in) {
    const auto provider = provider_of(in.parts, in.spec);
    TRY(provider);
    if (!in.app.install || !(*provider)->needs_user() || !in.parts.runner.privileged() ||
        in.spec.install_uid_slot >= 0) {
        return {};
    }
    const std::string role = "install:" + in.app.name;
    TRY_ASSIGN(const auto kept, in.writer.slot_of_role("uid", "host", role));
    if (kept) {
        in.spec.install_uid_slot = static_cast<int>(*kept);
        return {};
    }
    TRY_ASSIGN(in.spec.install_uid_slot, take_uid(in.writer, in.parts.runner, "", role));
    return {};
}

// Slots are read inside the transaction: two requests at once must not choose the same.
Status take_ports(Admission& in, std::set<int> taken) {
    TRY_ASSIGN(const auto slots, in.writer.slots("port", "host"));
    for (const auto& slot : slots) {
        taken.insert(static_cast<int>(slot.number));
    }
    const auto before = in.spec.ports;
    std::erase_if(in.spec.ports, [&](const auto& item) { return !has_port(in.app, item.first); });
    TRY(choose_ports(in.app, in.server, taken, in.spec.ports));
    for (const auto& [component, port] : in.spec.ports) {
        if (before.contains(component)) {
            continue;
        }
        TRY_ASSIGN(const bool free,
                   in.writer.take_slot({"port", "host", port, in.life.id, component}));
        if (!free) {
            return fail(Code::unavailable, "port " + std::to_string(port) + " was just taken");
        }
    }
    return {};
}

Status choose_database(Admission& in) {
    if (in.request.fresh_template) {
        TRY(in.writer.set_meta("template:" + in.app.database.source,
                               in.life.id + "/" + std::to_string(in.life.generation)));
    }
    if (!in.request.fresh_database.empty()) {
        ++in.spec.database_serial;
        in.spec.names.database.clear();
        in.spec.empty_database = in.request.fresh_database == "empty";
    }
    return {};
}

Status write_wanted(Admission& in, Wanted& wanted) {
    ++in.life.generation;
    in.life.expires_at = now_utc() + std::chrono::milliseconds(in.spec.ttl_ms);
    in.life.warned = false;
    in.life.spec = render_spec(in.spec);
    json status = status_of(in.life);
    for (const char* past : {"waiting", "restarts", "port_moves", "moved"}) {
        status.erase(past);
    }
    if (in.life.state == "running") {
        status["operation"] = {
            {"kind", "update"}, {"state", "updating"}, {"commit", in.spec.commit}};
    }
    set_status(in.life, status);
    TRY(in.writer.set_meta(used_key(in.spec.provider), "used"));
    TRY_ASSIGN(wanted.after, in.writer.last_event());
    if (in.life.state != "running" && in.life.state != "starting") {
        TRY(in.writer.add_event(change_state(in.life, "starting", in.request.actor, "")));
    }
    TRY(in.writer.put_life(in.life));
    TRY(in.writer.add_event(make_event(
        in.life, in.request.actor, "wanted",
        {{"commit", in.spec.commit}, {"branch", in.spec.branch}, {"update", in.update}})));
    wanted.life = in.life.id;
    wanted.generation = in.life.generation;
    wanted.update = in.update;
    return {};
}

Status admit_request(Admission& in, admit::Proposal proposal, const std::set<int>& taken,
                     const std::string& mirror, Wanted& wanted) {
    TRY(find_existing(in));
    proposal.update = in.update;
    TRY(admit::check_policy(proposal, in.server, in.environment));
    if (!in.update) {
        TRY(begin_life(in, proposal));
    }
    apply_request(in.spec, in.request, mirror);
    if (!in.app.base_branch.empty()) {
        TRY_ASSIGN(in.spec.base_branch, git::parse_branch(in.app.base_branch));
        if (in.spec.base_branch != in.request.base_branch) {
            in.spec.fork.clear();    // of another branch
        }
    }
    apply_policy(in.spec, in.request, in.server, in.environment);
    TRY(choose_user(in));
    TRY(choose_install_user(in));
    TRY(choose_database(in));
    TRY(take_ports(in, taken));
    choose_names(in.spec, in.app, in.parts.instance);
    std::erase_if(in.spec.names.runs, [&](const auto& item) {
        return std::ranges::none_of(in.app.components, [&](const config::Component& component) {
            return component.name == item.first;
        });
    });
    return write_wanted(in, wanted);
}

}    // namespace

Result<Wanted> Manager::admit_up(const UpRequest& request, const config::App& app,
                                 const config::Environment& environment) {
    const auto server = parts_.config.get();
    const auto provider = parts_.providers.find(environment.provider);
    std::string isolation;
    if (provider != parts_.providers.end()) {    // admit refuses the others
        TRY(provider->second->check(app));
        isolation = provider->second->isolation().value("level", "");
    }
    TRY_ASSIGN(const auto taken, listened_ports());
    struct statvfs disk{};
    if (::statvfs(parts_.layout.data.c_str(), &disk) != 0) {
        return fail_errno("cannot read the free disk space", errno);
    }
    const admit::Proposal proposal{
        app.name,       request.key, environment.name,
        request.branch, isolation,   static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize),
        false};
    Wanted wanted;
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) {
        Admission in{parts_, request, app, *server, environment, writer, {}, {}, false};
        return admit_request(in, proposal, taken, mirror_name(request.repository, request.remote),
                             wanted);
    }));
    reconciler_.supersede(wanted.life);
    return wanted;
}

}    // namespace seatrial::preview
