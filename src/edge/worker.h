// The running HAProxy: what it holds, and the commands that make it hold what is wanted. Thread:
// one at a time.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/context.h"
#include "edge/disk.h"
#include "edge/runtime.h"

namespace seatrial::edge {

// Servers as they shall be: backend → name → where. All others are in maintenance.
using Servers = std::map<std::string, std::map<std::string, Server>>;
Servers wanted_servers(const Wanted& wanted, const PreviewSeats& seats);

class Worker {
public:
    explicit Worker(const Disk& disk) : disk_(disk) {}

    Result<std::string> pid(const Context& ctx) const;
    // The structure it was started with.
    Result<std::string> structure(const Context& ctx) const;
    // Starts a new worker from the files and waits until it serves.
    Status reload(const std::string& structure, const Context& ctx) const;
    // Makes servers ready, then changes maps, then retires servers. `conflict` when one with open
    // sessions would get another address. Old workers still serve a last request of each kept-alive
    // connection by their own maps: they follow to where they know the servers, and stay on the
    // slot they know otherwise.
    Status repair(const Maps& maps, const Servers& servers, const Context& ctx);

    Result<std::vector<std::string>> backends(const std::string& start, const Context& ctx) const;
    Result<std::vector<pid_t>> old_workers(const Context& ctx) const;
    // `show stat` of a backend in the worker (0) or an old one: 4 servers, 6 with the total.
    Result<std::vector<StatRow>> stat(const std::string& backend, int kinds, pid_t worker,
                                      const Context& ctx) const;
    Result<std::map<std::string, std::map<std::string, std::int64_t>>> table(
        const std::string& name, const Context& ctx) const;
    // Ends what is open in these backends, in old workers too.
    Status close_sessions(const std::vector<std::string>& backends, const Context& ctx) const;
    // Those to a dead server, until none is left.
    Status close_dead(const std::vector<std::string>& backends, const Server& dead,
                      const Context& ctx) const;

private:
    // What the worker of that pid is known to hold.
    struct Known {
        std::string pid;
        Maps maps;
        std::map<std::string, std::map<std::string, ServerState>> servers;
    };
    Result<std::string> ask_master(const std::string& command, const Context& ctx) const;
    Status change(const std::vector<std::string>& commands, const Context& ctx) const;
    Status follow(pid_t old, const Maps& maps, const Servers& servers, const Context& ctx) const;
    Status look(const Maps& maps, const Context& ctx);
    Status check_idle(const std::string& backend, const std::string& server,
                      const Context& ctx) const;
    const ServerState* known_server(const std::string& backend, const std::string& name) const;
    Result<std::vector<std::string>> fills(const Servers& servers, const Context& ctx) const;
    std::vector<std::string> map_changes(const Maps& maps) const;
    std::vector<std::string> retirements(const Servers& servers) const;
    void remember(const Maps& maps, const Servers& servers);

    const Disk& disk_;
    Known known_;
};

}    // namespace seatrial::edge
