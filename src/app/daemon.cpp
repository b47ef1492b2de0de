#include "app/daemon.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/api.h"
#include "app/end_watch.h"
#include "app/identity.h"
#include "app/releases.h"
#include "app/types.h"
#include "app/upkeep.h"
#include "app/worktree_root.h"
#include "base/failpoint.h"
#include "git/mirror.h"
#include "http/listen.h"
#include "http/server.h"
#include "log/log.h"
#include "preview/branches.h"
#include "process/listeners.h"
#include "process/privilege.h"

namespace seatrial::app {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds shutdown_patience{5};
constexpr std::size_t config_limit = 1 << 20;

std::optional<std::string> environment_variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Result<std::string> read_config(int fd) {
    std::string text;
    char buffer[16384];
    for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) != 0;) {
        if (n < 0 && errno != EINTR) {
            return fail_errno("cannot read the server's file", errno);
        }
        text.append(buffer, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (text.size() > config_limit) {
            return fail(Code::invalid, "the server's file is larger than 1 MB");
        }
    }
    return text;
}

Result<config::Server> load_config(const DaemonOptions& options,
                                   const config::Variables& variables) {
    config::Server server = config::default_server();
    if (options.config_fd >= 0) {
        TRY_ASSIGN(const std::string text, read_config(options.config_fd));
        const std::string name =
            options.config_name.empty() ? "the server's file" : options.config_name;
        auto parsed = config::parse_server(text, name, options.config_embedded);
        if (!parsed.ok()) {
            return tl::unexpected(config::faults_to_error(parsed.faults));
        }
        server = std::move(parsed.value);
    }
    config::App ignored;
    for (const auto& fault : config::apply_variables(variables, ignored, server)) {
        if (!fault.warning) {
            return tl::unexpected(config::faults_to_error({fault}));
        }
    }
    return server;
}

Result<http::ServerOptions> open_listeners(const DaemonOptions& options, bool public_port) {
    http::ServerOptions server;
    server.upload_folder = options.data / "uploads";
    server.report = [](std::string_view line) { log::warn("http", {{"what", line}}); };
    if (!public_port) {
        TRY_ASSIGN(auto fd, http::listen_unix(options.data / "seatrial.sock", 0666));
        server.listeners.push_back(std::move(fd));
        return server;
    }
    auto fd = http::listen_tcp("127.0.0.1", options.port);
    if (!fd) {
        if (fd.error().code != Code::conflict) {
            return tl::unexpected(std::move(fd).error());
        }
        std::string owner = "another program";
        const auto listeners = process::listeners_of(options.port);
        if (listeners && !listeners->empty()) {
            owner = process::describe_owner(listeners->front());
        }
        return fail(Code::conflict,
                    "port " + std::to_string(options.port) + " is in use by " + owner,
                    "end it, choose another with --port, or --port 0 for none");
    }
    server.listeners.push_back(std::move(*fd));
    return server;
}

// Everything above the helper, built bottom-up; destruction runs in reverse.
class Daemon {
public:
    Daemon(const DaemonOptions& options, Instance instance, std::unique_ptr<process::Runner> runner)
        : options_(options), instance_(std::move(instance)), runner_(std::move(runner)) {}

    Status start() {
        for (const char* folder : {"uploads", "logs", "mirrors", "specs", "mounts", "homes"}) {
            TRY(make_dirs(options_.data / folder, 0711));
        }
        TRY(make_dirs(options_.data / api::build_log_name, 0700));
        // Only for as long as something is done: what a killed daemon left there goes.
        std::error_code ignored;
        std::filesystem::remove_all(options_.data / "scratch", ignored);
        TRY(make_dirs(options_.data / "scratch", 0700));
        variables_ = config::preview_variables(environment_variable);
        TRY_ASSIGN(auto server, load_config(options_, variables_));
        TRY(settle_worktrees(worktree_root(server, variables_, options_.config_embedded),
                             options_.data, instance_.id, *runner_));
        // One worker per node at work, but no plan may starve the others.
        nodes_.emplace(server.workers, std::map<std::string, int>{
                                           {"clone", 2}, {"install", 2}, {"build", 2}, {"git", 4}});
        config_.emplace(std::move(server));
        TRY_ASSIGN(const Secret key, open_key(options_.data));
        TRY_ASSIGN(records_, store::Records::open(options_.data / "seatrial.db"));
        TRY(failpoint("daemon.records_open"));
        layout_ = make_layout(options_.data, *config_->get());
        servers_.emplace(postgres_targets(*config_->get(), layout_), instance_.id, key);
        engines_.emplace(engine_sockets(*config_->get(), layout_), instance_.id);
        const TypeParts type_parts{*runner_, *servers_,    *engines_,
                                   layout_,  instance_.id, boot_id()};
        add_types(types_, type_parts);
        providers_ = make_providers(type_parts);
        parts_.emplace(preview::Parts{*records_, types_, *nodes_, subjects_, timers_, *runner_,
                                      *servers_, *config_, providers_, layout_, instance_.id});
        releases_.emplace(ReleaseParts{*records_, *runner_, subjects_, timers_, options_.data,
                                       config_->get()->docker_socket, instance_.id});
        reconciler_.emplace(*parts_);
        manager_.emplace(*parts_, *reconciler_);
        collector_.emplace(types_, *records_,
                           [this] { return places_of(types_, layout_, *records_); });
        upkeep_.emplace(*parts_, *manager_, *collector_);
        branches_.emplace(*parts_, *manager_);
        events_.emplace(*records_, [this](const std::vector<store::Event>& news) { react(news); });
        TRY(start_servers());
        check_records();
        TRY(git::drop_stale_locks(options_.data / "mirrors",
                                  Context().with_timeout(shutdown_patience)));
        TRY(reconciler_->wake_all());
        TRY(releases_->start());
        adopted_ = true;
        branches_->refresh();
        upkeep_->start();
        settle_collector();
        return {};
    }

    void stop() {
        const Context patience = Context().with_timeout(shutdown_patience);
        if (events_) {
            events_->close_all();
        }
        for (auto* server : {&public_server_, &local_server_}) {
            if (*server) {
                if (const auto stopped = (*server)->stop(patience); !stopped) {
                    log::warn("handlers were cut off", stopped.error());
                }
            }
        }
        if (upkeep_) {
            upkeep_->stop();
        }
        if (reconciler_) {
            reconciler_->shutdown();
        }
        if (releases_) {
            releases_->stop();
        }
        if (branches_) {
            branches_->cancel();
        }
        timers_.stop();
        subjects_.stop();
        if (check_.joinable()) {
            check_.join();
        }
    }

    // After stop(), when there are no trees, logs and records any more: nobody could find the
    // processes later. Databases stay, for whoever restores the folder.
    void end_runs() { end_components(*parts_, Context().with_timeout(shutdown_patience)); }

private:
    Status start_servers() {
        auto services = std::make_shared<api::Services>(
            api::Services{*manager_, releases_->manager(), releases_->engine(), *parts_, *events_,
                          logs_, builds_, releases_->sources()});
        services->info = {version,
                          instance_.id,
                          options_.data,
                          options_.config_name,
                          now_utc(),
                          options_.owner,
                          json(variables_).dump(),
                          options_.config_fd < 0 || options_.config_embedded};
        services->sweep = [this](bool dry_run, bool confirmed, json& report,
                                 const Context& ctx) -> Status {
            plan::SweepOptions options;
            options.dry_run = dry_run;
            options.confirmed = confirmed;
            options.all_trash = true;    // a person asked
            if (confirmed && instance_.moved && !dry_run) {
                TRY(adopt_machine(options_.data, instance_.id));
                instance_.moved = false;
                settle_collector();
            }
            return upkeep_->sweep(options, report, ctx);
        };
        services->health = [this] { return health(); };
        services->branch_problem = [this](const std::string& life) {
            return branches_->problem(life);
        };
        TRY_ASSIGN(auto local, open_listeners(options_, false));
        TRY_ASSIGN(local_server_,
                   http::Server::start(std::move(local), api::make_router(services, false)));
        if (options_.port != 0) {
            TRY_ASSIGN(auto open, open_listeners(options_, true));
            TRY_ASSIGN(public_server_,
                       http::Server::start(std::move(open), api::make_router(services, true)));
        }
        return {};
    }

    // Beside start-up: a large file must not delay anyone, but the collector waits for it.
    void check_records() {
        check_ = std::thread([this] {
            const auto checked = records_->integrity_check(options_.data / "seatrial.db");
            {
                const std::lock_guard lock(mutex_);
                integrity_ = checked ? "ok" : render_error(checked.error());
            }
            if (!checked) {
                log::error("the records are damaged: nothing is collected", checked.error());
            }
            settle_collector();
        });
    }

    void settle_collector() {
        const std::lock_guard lock(mutex_);
        if (instance_.moved) {
            upkeep_->allow_collector(false,
                                     "made on another machine or restored; "
                                     "`seatrial cleanup --confirm` accepts this one");
        } else if (integrity_ != "ok") {
            upkeep_->allow_collector(
                false, integrity_.empty() ? "the records are being checked" : integrity_);
        } else if (!adopted_) {
            upkeep_->allow_collector(false, "previews are being re-adopted");
        } else {
            upkeep_->allow_collector(true, "");
        }
    }

    json health() {
        json out = upkeep_->health();
        const std::lock_guard lock(mutex_);
        out["records"] = integrity_.empty() ? "being checked" : integrity_;
        out["ready"] = adopted_ && (integrity_.empty() || integrity_ == "ok");
        return out;
    }

    void react(const std::vector<store::Event>& news) {
        for (const auto& event : news) {
            // What is not wanted any more only makes the next look come too early.
            if (event.kind == "wanted" || event.kind == "ttl") {
                upkeep_->rearm_expiry();
            }
            if (event.kind == "outcome") {
                upkeep_->one_ended();
            }
            releases_->react(event);
            if (event.kind == "wanted" && branches_) {
                timers_.set("refresh", std::chrono::seconds(1), [this] {
                    subjects_.submit({[this] { branches_->refresh(); }, "", "refresh"});
                });
            }
        }
    }

    const DaemonOptions& options_;
    Instance instance_;
    std::unique_ptr<process::Runner> runner_;
    config::Variables variables_;
    std::optional<preview::ConfigSnapshot> config_;
    std::unique_ptr<store::Records> records_;
    preview::Layout layout_;
    std::optional<resource::PostgresServers> servers_;
    std::optional<resource::DockerEngines> engines_;
    plan::Types types_;
    preview::Providers providers_;
    plan::Timers timers_;
    plan::Scheduler subjects_{32, {}};
    std::optional<plan::Scheduler> nodes_;
    std::optional<preview::Parts> parts_;
    std::optional<Releases> releases_;
    std::optional<preview::Reconciler> reconciler_;
    std::optional<preview::Manager> manager_;
    std::optional<plan::Collector> collector_;
    std::optional<Upkeep> upkeep_;
    std::optional<preview::BranchWatch> branches_;
    std::optional<api::EventHub> events_;
    api::LogFollower logs_;
    api::BuildLogs builds_{options_.data / api::build_log_name};
    std::unique_ptr<http::Server> local_server_;
    std::unique_ptr<http::Server> public_server_;
    std::mutex mutex_;
    std::string integrity_;
    std::atomic<bool> adopted_ = false;
    std::thread check_;
};

void tell_ready(int fd, const std::string& text) {
    if (fd >= 0) {
        [[maybe_unused]] const auto written = ::write(fd, text.data(), text.size());
        ::close(fd);
    }
}

Status serve(const DaemonOptions& options) {
    TRY_ASSIGN(const process::Identity identity, process::daemon_identity(options.user));
    TRY(process::make_data_folder(options.data, identity));
    TRY_ASSIGN(const Fd lock, lock_data(options.data));
    TRY_ASSIGN(auto instance, open_instance(options.data));
    // Made with the caller's rights; the daemon keeps them after it has dropped those.
    for (const char* file : {"lock", "instance"}) {
        if (::lchown((options.data / file).c_str(), identity.uid, identity.gid) != 0) {
            return fail_errno("cannot hand over " + (options.data / file).string(), errno);
        }
    }
    TRY_ASSIGN(EndWatch ends, EndWatch::open(options.data));
    // Before any thread, file of others or socket: here root is given up.
    TRY_ASSIGN(auto runner, process::Runner::open({options.data, instance.id, options.user}));
    log::Options log_options;
    TRY_ASSIGN(log_options.level, log::parse_level(options.log_level));
    if (options.log_to_file) {
        log_options.file = options.data / "daemon.log";
    }
    TRY(log::open(log_options));
    const int helper = runner->helper_fd();
    Daemon daemon(options, std::move(instance), std::move(runner));
    if (auto started = daemon.start(); !started) {
        daemon.stop();
        return started;
    }
    TRY(write_file_atomic(options.data / "daemon.pid", std::to_string(::getpid()) + "\n"));
    log::info("serving", {{"data", options.data.string()}, {"pid", ::getpid()}});
    tell_ready(options.ready_fd, "ready\n");
    const auto ended = ends.wait(helper, log_options);
    const bool homeless = !ended && ended.error().code == Code::failed;
    if (homeless) {
        log::error("stopping, and the previews' processes with it", ended.error());
    } else if (!ended) {
        log::error("stopping; previews go on", ended.error());
    } else {
        log::info("stopping; previews go on");
    }
    ends.exit_on_next_signal();
    daemon.stop();
    if (homeless) {
        daemon.end_runs();    // what lies at these paths now is not ours
        return ended;
    }
    ::unlink((options.data / "seatrial.sock").c_str());
    ::unlink((options.data / "daemon.pid").c_str());
    return ended;
}

}    // namespace

Status run_daemon(const DaemonOptions& options) {
    auto served = serve(options);
    if (!served) {
        tell_ready(options.ready_fd, render_error(served.error()) + "\n" + served.error().hint);
    }
    return served;
}

}    // namespace seatrial::app
