// Carries out rollouts: asks decide() what comes next, does it, writes down what came of it. One
// look at a time per deployment; after kill -9 at any point it goes on from the records.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "plan/scheduler.h"
#include "plan/subjects.h"
#include "plan/timers.h"
#include "release/containers.h"
#include "release/deployment.h"
#include "release/edge_control.h"
#include "release/queues.h"
#include "store/records.h"

namespace seatrial::release {

struct Parts {
    store::Records& records;
    docker::Engine& engine;
    EdgeControl& edge;
    plan::Scheduler& subjects;
    plan::Timers& timers;
    std::string instance;
    std::filesystem::path keys = {};         // folder for what slots have of their own
    std::filesystem::path snapshots = {};    // folder for copies of databases
    secrets::Sources sources = {};
};

// Thread: any.
class Reconciler {
public:
    explicit Reconciler(Parts parts);
    ~Reconciler() { shutdown(); }
    void shutdown() { subjects_.shutdown(); }

    // The edge as the records want it, then a look at every deployment.
    Status wake_all(const Context& ctx);
    void wake(const std::string& life) { subjects_.wake(life); }
    void supersede(const std::string& life) { subjects_.supersede(life); }

private:
    // A deployment while it is looked at.
    struct Look {
        store::Life life;
        Spec spec;
        Standing standing;
        Judged judged;
    };
    bool look(const std::string& id, const Context& ctx);
    Result<bool> go_on(Look& now, const Context& ctx);
    Result<Seen> observe(Look& now, const Context& ctx);
    Result<Sample> sample(const Look& now, const std::string& slot, const Context& ctx);
    Result<bool> act(Look& now, const Action& action, const Context& ctx);

    Status write_down(Look& now, const std::string& slot);
    Status start(Look& now, const std::string& slot, const Context& ctx);
    // False: it failed, and the deploy was given up.
    Result<bool> migrate(Look& now, const std::string& slot, const Context& ctx);
    Status name_migration(Look& now, const std::string& slot);
    Status make_migration(Look& now, const std::string& slot, const Context& ctx);
    Status end_migration(Look& now, const std::string& slot, const Context& ctx);
    Result<bool> refuse_migration(Look& now, const std::string& slot, const Error& error);
    Status settle_migrations(Look& now, const Context& ctx);
    Status take_snapshot(Look& now, const std::string& slot, const Context& ctx);
    Status keep_snapshot(Look& now, const Content& content, const std::string& slot,
                         const Migrated& step, const std::string& before, const Context& ctx);
    Status restore(Look& now, const Context& ctx);
    Status name_restore(Look& now);
    Status end_restore(Look& now, const Status& why);
    std::filesystem::path snapshots_of(const Look& now) const;
    Status check(Look& now, const std::string& slot, const Context& ctx);
    // Once more, as users get it; a failure takes the release back.
    Status prove(Look& now, const std::string& slot, const Context& ctx);
    Status drop_stray_keys();
    Owner owner_of(const Look& now, const std::string& slot) const;
    Status share(Look& now, const Action& action, const Context& ctx);
    // Brings the edge to what the records say, then tells what was due.
    Status catch_up(Look& now, const Context& ctx);
    Status promote(Look& now, const std::string& slot, const Context& ctx);
    Status retire(Look& now, const std::string& slot, const Context& ctx);
    Status revert(Look& now, const Action& action, const Context& ctx);
    // A gate failed: all stays as it is, people decide.
    Status stop(Look& now, const std::string& slot, const std::string& why);
    Status finish(Look& now, const Context& ctx);
    // Of slots that users are not on: how many of their workers run.
    Status count_workers(const Look& now, Seen* seen, const Context& ctx);
    Status rest(Look& now, const std::string& slot, const Context& ctx);
    Status end_workers(Look& now, const std::string& slot, const Context& ctx);
    Status rouse(Look& now, const std::string& slot, const Context& ctx);
    Status drain(Look& now, const Context& ctx);
    Status resume(Look& now, const Context& ctx);
    Status resume_one(const Look& now, const config::ReleaseQueue& queue, const Context& ctx);
    // False: one cannot be paused, and the deploy was given up.
    Result<bool> pause_queues(Look& now, const Context& ctx);
    std::map<std::string, QueueWait> watch_queues(const Look& now, const Context& ctx);
    Status await_queues(Look& now, const Context& ctx);
    Status tell_running(const Look& now, const std::map<std::string, int>& running);
    Status reset(Look& now, const Context& ctx);
    // True: something was done about it, look again.
    Result<bool> revive(Look& now, const Context& ctx);
    Status reject(Look& now, const std::string& slot, const Error& error, const Context& ctx);
    // Before the switch: the old release never stopped serving. `slot` "": it had none yet.
    Status give_up(Look& now, const std::string& slot, const Error& error);
    void want_previous(Look& now, const std::string& why);
    static store::Incident make_incident(const Look& now, const std::string& release,
                                         const std::string& tag, const std::string& why,
                                         bool switched);

    // Writes the life with `events`; `cancelled` when something newer is wanted.
    Status save(Look& now, const std::vector<store::Event>& events = {});
    void retry(const Look& now, const Error& error);

    Parts parts_;
    plan::Subjects subjects_;
};

}    // namespace seatrial::release
