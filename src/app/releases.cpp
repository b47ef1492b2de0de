#include "app/releases.h"

#include <algorithm>

#include "approval/approval.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "docker/events.h"
#include "log/log.h"
#include "release/pointers.h"
#include "secrets/aws/aws.h"
#include "secrets/doppler/doppler.h"
#include "secrets/vault/vault.h"

namespace seatrial::app {
namespace {

constexpr const char* haproxy = "/usr/sbin/haproxy";
constexpr int edge_files = 65536;
constexpr const char* approvals_timer = "approvals";
constexpr std::chrono::milliseconds longest_sleep{15 * 60'000};
constexpr auto refresh_time = std::chrono::seconds(30);

secrets::Sources make_sources() {
    secrets::Sources out;
    out.add("doppler", std::make_shared<secrets::doppler::Doppler>());
    out.add("aws", std::make_shared<secrets::aws::Aws>());
    out.add("vault", std::make_shared<secrets::vault::Vault>());
    return out;
}

}    // namespace

Releases::Releases(const ReleaseParts& parts)
    : parts_(parts),
      engine_(parts.docker_socket, parts.instance),
      sources_(make_sources()),
      watcher_([this](const std::string&) { bring_edge_back(); }),
      edge_(parts.records, parts.data / "edge", haproxy,
            [this](const std::vector<std::string>& argv, const Context& ctx) {
                return launch_edge(argv, ctx);
            }),
      reconciler_(release::Parts{parts.records, engine_, edge_, parts.subjects, parts.timers,
                                 parts.instance, parts.data / "keys", parts.data / "snapshots",
                                 sources_}),
      manager_(parts.records, reconciler_) {}

std::string Releases::edge_run() const {
    return make_name(parts_.instance, "edge", crypto::sha256_hex("edge"));
}

Status Releases::launch_edge(const std::vector<std::string>& argv, const Context& ctx) {
    process::RunSpec spec;
    spec.name = edge_run();
    spec.profile = process::Profile::edge;
    spec.argv = argv;
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    spec.cwd = parts_.data / "edge";
    spec.writable = {parts_.data / "edge"};
    spec.limits.open_files = edge_files;
    TRY(make_dirs(parts_.data / "logs/edge", 0700));
    spec.log = parts_.data / "logs/edge/haproxy";
    Status started = parts_.runner.start(spec, ctx);
    // It runs and does not answer (yet): who called waits for it.
    if (!started && started.error().code != Code::conflict) {
        return started;
    }
    watch_edge();
    return {};
}

// Users wait for it.
void Releases::bring_edge_back() {
    parts_.subjects.submit({[this] {
                                const auto back =
                                    edge_.refresh(stop_.context().with_timeout(refresh_time));
                                if (!back && !stop_.context().cancelled()) {
                                    log::error("the edge cannot be started again", back.error());
                                }
                            },
                            "", "edge"});
}

void Releases::watch_edge() {
    const std::string run = edge_run();
    if (watcher_.watches(run)) {
        return;
    }
    auto pidfd = parts_.runner.watch(run);
    if (!pidfd) {
        return;    // it ended already; the next refresh starts it
    }
    if (const auto watched = watcher_.watch(run, run, std::move(*pidfd)); !watched) {
        log::warn("the edge is not watched", watched.error());
    }
}

void Releases::react(const store::Event& event) {
    if (event.kind == "deploy") {
        watch();    // from now on the engine's events matter
    } else if (event.kind == approval::event_kind) {
        rearm_approvals();
    } else if (event.kind == "switched" || event.kind == "reverted" || event.kind == "settled") {
        move_pointers();
    }
}

void Releases::move_pointers() {
    parts_.subjects.submit(
        {[this] {
             const Context ctx = stop_.context().with_timeout(refresh_time);
             const auto moved = release::move_pointers(parts_.records, engine_, ctx);
             if (!moved && !stop_.context().cancelled()) {
                 log::warn("tags of images do not tell where releases are", moved.error());
             }
         },
         "", "pointers"});
}

void Releases::rearm_approvals() {
    const auto next = parts_.records.next_approval_expiry();
    if (next && !*next) {
        return parts_.timers.clear(approvals_timer);
    }
    auto delay = longest_sleep;    // also notices a changed wall clock
    if (next) {
        delay = std::clamp(**next - now_utc(), std::chrono::milliseconds(0), longest_sleep);
    }
    parts_.timers.set(approvals_timer, delay, [this] {
        parts_.subjects.submit({[this] { expire_approvals(); }, "", approvals_timer});
    });
}

void Releases::expire_approvals() {
    if (stop_.context().cancelled()) {
        return;
    }
    const auto expired = parts_.records.write(sql::Durability::full, [](store::Writer& writer) {
        return approval::expire(writer, now_utc());
    });
    if (!expired) {
        log::error("requests for approval do not end", expired.error());
    }
    rearm_approvals();
}

Status Releases::start() {
    rearm_approvals();
    TRY_ASSIGN(const auto deployments, parts_.records.unfinished(release::deployment_kind));
    if (deployments.empty()) {
        return {};
    }
    watch();
    TRY(reconciler_.wake_all(stop_.context().with_timeout(refresh_time)));
    watch_edge();
    if (!watcher_.watches(edge_run())) {
        bring_edge_back();    // it ended since it was asked
    }
    move_pointers();    // whoever died before it did
    return {};
}

void Releases::stop() {
    stop_.cancel();
    reconciler_.shutdown();
    if (events_.joinable()) {
        events_.join();
    }
}

void Releases::watch() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(watching_, true)) {
        return;
    }
    events_ = std::jthread([this] {
        docker::EventsWanted wanted;
        wanted.on_reconnect = [this] {
            const auto all = parts_.records.unfinished(release::deployment_kind);
            for (const auto& life : all.value_or(std::vector<std::string>())) {
                reconciler_.wake(life);
            }
        };
        const Status ended = docker::watch_events(
            engine_, wanted,
            [this](const docker::Event& event) {
                const auto life = event.attributes.find("seatrial.life");
                if (event.action == "die" && life != event.attributes.end()) {
                    reconciler_.wake(life->second);
                }
                return true;
            },
            stop_.context());
        if (!ended && !stop_.context().cancelled()) {
            log::error("the engine's events are not watched any more", ended.error());
        }
    });
}

}    // namespace seatrial::app
