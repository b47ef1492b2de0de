// The one HAProxy of this host: its files, its running state, its counts. What is wanted comes
// from the records; whatever happened to the process or to us, apply() closes the difference.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "edge/wanted.h"

namespace seatrial::edge {

struct Applied {
    bool reloaded = false;
    std::vector<std::string> warnings;    // what was left out, so that the rest could be served
};

// Of one slot of a site, all its components together. Probes are not in the counts of users.
struct Counts {
    std::int64_t requests = 0;         // since the slot was last unused for 2 hours
    std::int64_t failed_by_app = 0;    // answered with 5xx
    std::int64_t failed_by_edge =
        0;    // no answer of the app: 5xx made here, since the last reload
    std::int64_t slow = 0;
    struct Window {    // the last 5 minutes
        std::int64_t requests = 0;
        std::int64_t failed_by_app = 0;
        std::int64_t slow = 0;
    } window;
    // At this moment, in all workers, old ones too.
    int open = 0;          // all that follow, and plain requests
    int websockets = 0;    // not those of old workers
    int streams = 0;       // server-sent events; not those of old workers
    // Left from reloads; each may send a last request of a kept-alive connection to the slot that
    // was stable then, so nothing of that slot may be stopped before they are gone (70 s).
    int old_workers = 0;
};

// Thread: any; one call at a time goes on, others wait.
class Haproxy {
public:
    // `folder` is made where it is absent; its path plus 20 characters must fit into a socket
    // address (107 bytes). `program` is looked up in PATH.
    explicit Haproxy(std::filesystem::path folder, std::string program = "haproxy");
    ~Haproxy();

    // How it is run, in the foreground: master and worker. write() comes first.
    std::vector<std::string> command() const;

    // The files alone, for a start. Errors: invalid (validate(), or what HAProxy says about it).
    Result<Applied> write(const Wanted& wanted, const Context& ctx);
    // The running process and the files. Changes of maps and servers take effect at once and cut
    // nobody off; other changes are a reload, after which old workers still follow. Errors:
    // unavailable (it does not run), conflict (a server that still has sessions would get another
    // address: drain first), invalid as above; then what runs goes on unchanged.
    Result<Applied> apply(const Wanted& wanted, const Context& ctx);

    // Whether it would send requests to every server of a slot: its own checks may take one that
    // came back for dead a while longer (2 checks of 0.5 s).
    Result<bool> trusts(const std::string& site, const std::string& slot, const Context& ctx);
    Result<Counts> counts(const std::string& site, const std::string& slot, const Context& ctx);
    // Ends what is still open on a slot, in all workers: after the drain.
    Status close_sessions(const std::string& site, const std::string& slot, const Context& ctx);
    // What the present worker has open to this server of a slot, whose process is dead: so that it
    // can get another address.
    Status close_dead(const std::string& site, const std::string& slot, const Server& dead,
                      const Context& ctx);
    // Names the worker that answers; it is another after a reload, or when one has ended.
    Result<std::string> worker(const Context& ctx);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::edge
