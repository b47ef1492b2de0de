#include "edge/worker.h"

#include <utility>

#include "base/failpoint.h"
#include "base/text.h"

namespace seatrial::edge {
namespace {

constexpr std::size_t line_limit = 8000;    // HAProxy's buffer is 16 kB
constexpr auto master_time = std::chrono::seconds(2);
constexpr auto reload_time = std::chrono::seconds(20);

// Commands on as few lines as fit.
std::vector<std::string> lines_of(const std::vector<std::string>& commands) {
    std::vector<std::string> out;
    for (const auto& command : commands) {
        if (out.empty() || out.back().size() + command.size() > line_limit) {
            out.push_back(command);
        } else {
            out.back() += ";" + command;
        }
    }
    return out;
}

}    // namespace

Servers wanted_servers(const Wanted& wanted, const PreviewSeats& seats) {
    Servers out;
    for (const auto& site : wanted.sites) {
        for (const auto& [slot, parts] : site.slots) {
            for (const auto& [component, servers] : parts) {
                auto& backend = out[backend_name(site.name, slot, component)];
                for (std::size_t i = 0; i < servers.size(); ++i) {
                    backend[server_name(static_cast<int>(i))] = servers[i];
                }
            }
        }
    }
    for (const auto& preview : wanted.previews) {
        const auto& seat = seats.at(preview.host);
        const std::size_t slash = seat.find('/');
        out["previews." + seat.substr(0, slash)][seat.substr(slash + 1)] = preview.server;
    }
    return out;
}

Result<std::string> Worker::pid(const Context& ctx) const {
    TRY_ASSIGN(const std::string info, ask(disk_.admin(), "show info", ctx));
    std::string out = info_in(info, "Pid");
    if (out.empty()) {
        return fail(Code::unavailable, "HAProxy does not tell its pid");
    }
    return out;
}

Result<std::string> Worker::structure(const Context& ctx) const {
    TRY_ASSIGN(const std::string info, ask(disk_.admin(), "show info", ctx));
    return info_in(info, "description");
}

Result<std::vector<std::string>> Worker::backends(const std::string& start,
                                                  const Context& ctx) const {
    TRY_ASSIGN(const std::string answer, ask(disk_.admin(), "show backend", ctx));
    std::vector<std::string> out;
    for (const std::string_view line : split(answer, '\n')) {
        if (line.substr(0, start.size()) == start) {
            out.emplace_back(trim(line));
        }
    }
    return out;
}

Result<std::vector<StatRow>> Worker::stat(const std::string& backend, int kinds, pid_t worker,
                                          const Context& ctx) const {
    const std::string command = "show stat " + backend + " " + std::to_string(kinds) + " -1";
    TRY_ASSIGN(const std::string answer,
               worker == 0 ? ask(disk_.admin(), command, ctx)
                           : ask_master("@!" + std::to_string(worker) + " " + command, ctx));
    // An old worker may not know a backend that came later.
    return worker != 0 && !answer.starts_with("# ") ? std::vector<StatRow>() : parse_stat(answer);
}

Result<std::map<std::string, std::map<std::string, std::int64_t>>> Worker::table(
    const std::string& name, const Context& ctx) const {
    TRY_ASSIGN(const std::string answer, ask(disk_.admin(), "show table " + name, ctx));
    return parse_table(answer);
}

// While the master starts a new worker its socket is refused for some milliseconds.
Result<std::string> Worker::ask_master(const std::string& command, const Context& ctx) const {
    const Context limited = ctx.with_timeout(master_time);
    while (true) {
        auto answer = ask(disk_.master(), command, ctx);
        if (answer || answer.error().code != Code::unavailable || limited.expired()) {
            return answer;
        }
        TRY(wait_for(std::chrono::milliseconds(5), ctx));
    }
}

Result<std::vector<pid_t>> Worker::old_workers(const Context& ctx) const {
    TRY_ASSIGN(const std::string answer, ask_master("show proc", ctx));
    TRY_ASSIGN(const Processes processes, parse_processes(answer));
    return processes.old_workers;
}

Status Worker::change(const std::vector<std::string>& commands, const Context& ctx) const {
    for (const auto& line : lines_of(commands)) {
        TRY_ASSIGN(const std::string answer, ask(disk_.admin(), line, ctx));
        TRY(complaint_of(answer));
    }
    return {};
}

// An old worker takes changes of maps, but none of servers.
Status Worker::follow(pid_t old, const Maps& maps, const Servers& servers,
                      const Context& ctx) const {
    const std::string to = "@!" + std::to_string(old) + " ";
    TRY_ASSIGN(const std::string text, ask_master(to + "show servers state", ctx));
    TRY_ASSIGN(const auto known, parse_servers(text));
    const auto knows = [&](const std::string& site, const std::string& slot) {
        const std::string start = backend_name(site, slot, "");
        for (auto it = servers.lower_bound(start);
             it != servers.end() && it->first.starts_with(start); ++it) {
            const auto present = known.find(it->first);
            for (const auto& [name, where] : it->second) {
                if (present == known.end() || present->second.count(name) == 0 ||
                    present->second.at(name).server != where ||
                    present->second.at(name).maintenance) {
                    return false;
                }
            }
        }
        return true;
    };
    // Order matters: nobody may be sent to a candidate that is not set yet.
    std::vector<std::string> commands{"clear map " + disk_.map_file("share"),
                                      "clear map " + disk_.map_file("pause")};
    for (const auto& [site, slot] : maps.at("stable")) {
        if (knows(site, slot)) {
            commands.push_back("set map " + disk_.map_file("stable") + " " + site + " " + slot);
        }
    }
    for (const auto& [site, slot] : maps.at("candidate")) {
        if (knows(site, slot)) {
            commands.push_back("del map " + disk_.map_file("candidate") + " " + site);
            commands.push_back("add map " + disk_.map_file("candidate") + " " + site + " " + slot);
            commands.push_back("add map " + disk_.map_file("share") + " " + site + " " +
                               maps.at("share").at(site));
        }
    }
    for (const auto& [site, state] : maps.at("pause")) {
        commands.push_back("add map " + disk_.map_file("pause") + " " + site + " " + state);
    }
    // What it answers to a row it does not have, or once it has ended, changes nothing here.
    for (const auto& command : commands) {
        TRY(ask_master(to + command, ctx));
    }
    return {};
}

Status Worker::close_sessions(const std::vector<std::string>& backends, const Context& ctx) const {
    TRY_ASSIGN(const auto old, old_workers(ctx));
    for (const auto& backend : backends) {
        std::vector<std::string> commands;
        TRY_ASSIGN(const auto rows, stat(backend, 4, 0, ctx));
        for (const auto& row : rows) {
            commands.push_back("shutdown sessions server " + backend + "/" + row.at("svname"));
        }
        TRY(change(commands, ctx));
        // An old worker knows no such command any more, and accepts no new session either.
        for (const pid_t pid : old) {
            const std::string to = "@!" + std::to_string(pid) + " ";
            TRY_ASSIGN(const std::string answer, ask_master(to + "show sess", ctx));
            for (const auto& session : sessions_in(answer, backend)) {
                TRY(ask_master(to + "shutdown session " + session, ctx));
            }
        }
    }
    return {};
}

Status Worker::close_dead(const std::vector<std::string>& backends, const Server& dead,
                          const Context& ctx) const {
    const std::string address = dead.address + ":" + std::to_string(dead.port);
    const Context limited = ctx.with_timeout(std::chrono::seconds(5));
    for (const auto& backend : backends) {
        bool open = true;
        while (open) {
            std::vector<std::string> commands;
            TRY_ASSIGN(const auto rows, stat(backend, 4, 0, ctx));
            for (const auto& row : rows) {
                if (row.at("addr") == address && number_in(row, "scur") > 0) {
                    commands.push_back("shutdown sessions server " + backend + "/" +
                                       row.at("svname"));
                }
            }
            open = !commands.empty();
            if (open) {
                TRY(change(commands, ctx));
                TRY(wait_for(std::chrono::milliseconds(5), limited));
            }
        }
    }
    return {};
}

Status Worker::look(const Maps& maps, const Context& ctx) {
    TRY_ASSIGN(const std::string pid, this->pid(ctx));
    if (known_.pid == pid) {
        return {};
    }
    Known seen;
    seen.pid = pid;
    for (const auto& [name, rows] : maps) {
        TRY_ASSIGN(const std::string answer,
                   ask(disk_.admin(), "show map " + disk_.map_file(name), ctx));
        TRY_ASSIGN(seen.maps[name], parse_map(answer));
    }
    TRY_ASSIGN(const std::string servers, ask(disk_.admin(), "show servers state", ctx));
    TRY_ASSIGN(seen.servers, parse_servers(servers));
    known_ = std::move(seen);
    return {};
}

Status Worker::check_idle(const std::string& backend, const std::string& server,
                          const Context& ctx) const {
    TRY_ASSIGN(const auto rows, stat(backend, 4, 0, ctx));
    for (const auto& row : rows) {
        const std::int64_t open = number_in(row, "scur");
        if (row.at("svname") == server && open > 0) {
            return fail(Code::conflict,
                        std::to_string(open) + " requests are still open on " + backend + "/" +
                            server + "; its address cannot change",
                        "drain that slot first");
        }
    }
    return {};
}

const ServerState* Worker::known_server(const std::string& backend, const std::string& name) const {
    const auto servers = known_.servers.find(backend);
    if (servers == known_.servers.end()) {
        return nullptr;
    }
    const auto found = servers->second.find(name);
    return found == servers->second.end() ? nullptr : &found->second;
}

Result<std::vector<std::string>> Worker::fills(const Servers& servers, const Context& ctx) const {
    std::vector<std::string> out;
    for (const auto& [backend, wanted] : servers) {
        for (const auto& [name, where] : wanted) {
            const std::string id = backend + "/" + name;
            const std::string port = std::to_string(where.port);
            const ServerState* state = known_server(backend, name);
            if (state == nullptr) {    // a preview's seat is made when it is first needed
                out.push_back("add server " + id + " " + where.address + ":" + port + " weight 0");
                out.push_back("enable server " + id);
                continue;
            }
            if (state->server != where) {
                if (!state->maintenance) {
                    TRY(check_idle(backend, name, ctx));
                }
                out.push_back("set server " + id + " addr " + where.address + " port " + port);
            }
            if (state->maintenance) {
                out.push_back("set server " + id + " state ready");
            }
        }
    }
    return out;
}

std::vector<std::string> Worker::retirements(const Servers& servers) const {
    std::vector<std::string> out;
    for (const auto& [backend, present] : known_.servers) {
        const auto wanted = servers.find(backend);
        for (const auto& [name, state] : present) {
            const bool stays =
                name == "waker" || (wanted != servers.end() && wanted->second.count(name) != 0);
            if (!stays && !state.maintenance) {
                out.push_back("set server " + backend + "/" + name + " state maint");
            }
        }
    }
    return out;
}

// In this order: a route must exist before a slot points somewhere, and nothing may point to
// a slot whose rows are gone.
std::vector<std::string> Worker::map_changes(const Maps& maps) const {
    std::vector<std::string> out;
    std::vector<std::string> removals;
    for (const auto& [name, rows] : maps) {
        const auto found = known_.maps.find(name);
        const Rows none;
        const Rows& present = found == known_.maps.end() ? none : found->second;
        for (const auto& [key, value] : rows) {
            const auto row = present.find(key);
            if (row == present.end()) {
                out.push_back("add map " + disk_.map_file(name) + " " + key + " " + value);
            } else if (row->second != value) {
                out.push_back("set map " + disk_.map_file(name) + " " + key + " " + value);
            }
        }
        for (const auto& [key, value] : present) {
            if (rows.count(key) == 0) {
                removals.push_back("del map " + disk_.map_file(name) + " " + key);
            }
        }
    }
    out.insert(out.end(), removals.begin(), removals.end());
    return out;
}

Status Worker::repair(const Maps& maps, const Servers& servers, const Context& ctx) {
    TRY(look(maps, ctx));
    TRY_ASSIGN(const auto filling, fills(servers, ctx));
    // From here until all is done the worker is not what we knew; a failure reads it anew.
    const std::string pid = std::exchange(known_.pid, "");
    TRY(change(filling, ctx));
    TRY(failpoint("edge.filled"));
    TRY(change(map_changes(maps), ctx));
    if (maps.count("stable") != 0) {
        TRY_ASSIGN(const auto old, old_workers(ctx));
        for (const pid_t worker : old) {
            TRY(follow(worker, maps, servers, ctx));
        }
    }
    TRY(failpoint("edge.switched"));
    TRY(change(retirements(servers), ctx));
    remember(maps, servers);
    known_.pid = pid;
    return {};
}

void Worker::remember(const Maps& maps, const Servers& servers) {
    known_.maps = maps;
    for (auto& [backend, present] : known_.servers) {
        for (auto& [name, state] : present) {
            state.maintenance = name != "waker";
        }
    }
    for (const auto& [backend, wanted] : servers) {
        for (const auto& [name, where] : wanted) {
            known_.servers[backend][name] = {where, false};
        }
    }
}

Status Worker::reload(const std::string& structure, const Context& ctx) const {
    TRY_ASSIGN(const std::string before_text, ask_master("show proc", ctx));
    TRY_ASSIGN(const Processes before, parse_processes(before_text));
    TRY(ask_master("reload", ctx));
    const Context limited = ctx.with_timeout(reload_time);
    // The master gives no sign; while it starts anew its socket may be refused.
    for (;;) {
        if (const auto info = ask(disk_.admin(), "show info", limited);
            info && info_in(*info, "description") == structure) {
            return {};
        }
        const auto text = ask_master("show proc", limited);
        const auto now = text ? parse_processes(*text) : Result<Processes>(before);
        if (now && now->failed_reloads > before.failed_reloads) {
            return fail(Code::unavailable, "HAProxy refused the reload; what ran goes on",
                        "its log says why");
        }
        TRY(wait_for(std::chrono::milliseconds(5), limited));
    }
}

}    // namespace seatrial::edge
