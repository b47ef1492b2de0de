#include "preview/docker/provider.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "docker/containers.h"
#include "docker/events.h"
#include "log/log.h"
#include "preview/docker/plan.h"
#include "resource/container_log.h"
#include "resource/docker_container.h"

namespace seatrial::preview::docker {
namespace {

namespace engine_api = seatrial::docker;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds look_patience{10'000};
constexpr milliseconds follow_slice{3000};    // then it is asked whether anybody still wants it
constexpr milliseconds follow_pause{200};
constexpr std::size_t most_followers = 64;
constexpr std::int64_t boot_doubt = 2;    // seconds that two clocks may differ

std::int64_t nanoseconds_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// UNIX time at which this machine started.
std::int64_t booted_at() {
    timespec up{};
    ::clock_gettime(CLOCK_BOOTTIME, &up);
    return std::time(nullptr) - up.tv_sec;
}

// It was started before this machine was.
bool is_of_another_boot(const std::string& started_at) {
    std::tm time{};
    if (::strptime(started_at.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr ||
        time.tm_year <= 70) {    // "0001-01-01": never
        return false;
    }
    return ::timegm(&time) + boot_doubt < booted_at();
}

}    // namespace

DockerProvider::DockerProvider(const resource::DockerEngines& engines,
                               const resource::PostgresServers& servers, Layout layout)
    : engines_(engines), servers_(servers), layout_(std::move(layout)) {}

Result<engine_api::Engine*> DockerProvider::engine() const {
    return engines_.engine_at(layout_.docker_place);
}

json DockerProvider::isolation() const {
    return {{"level", "standard"},
            {"container", true},
            {"missing", json::array({"a user of its own outside the container (the engine's "
                                     "userns-remap gives one to all)"})}};
}

Status DockerProvider::check(const config::App& app) const {
    for (const auto& component : app.components) {
        if (!component.is_released()) {
            return fail(
                Code::invalid,
                "components." + component.name +
                    ": provider docker needs an image of it and there is none",
                "give it `build: .` (with a Dockerfile), `image: NAME` or `static`, or choose "
                "an environment with provider local");
        }
    }
    if (app.database.engine == config::DatabaseEngine::sqlite) {
        return fail(Code::invalid, "database.engine: provider docker has no sqlite",
                    "use postgres, or an environment with provider local");
    }
    if (app.migrate && !app.migrate->component.empty()) {
        const config::Component* found = migrating_component(app);
        if (found == nullptr || found->name != app.migrate->component) {
            return fail(Code::invalid, "migrate.component: there is no component " +
                                           printable(app.migrate->component));
        }
    }
    return {};
}

Status DockerProvider::find_facts(Spec& spec, const config::App& app, const Context& ctx) const {
    TRY(check(app));
    spec.dependency_tree.clear();
    spec.images = choose_images(spec, app, engines_.instance());
    if (app.database.engine == config::DatabaseEngine::postgres) {
        TRY(servers_.database_url(layout_.database_place, "any", "any", ctx,
                                  resource::PostgresServers::From::container));
    }
    return {};
}

plan::Graph DockerProvider::make_plan(const Spec& spec, const config::App& app,
                                      const World& world) const {
    return docker::make_plan(spec, app, layout_, world);
}

Result<Running> DockerProvider::observe(const std::string& run, const Context& ctx) const {
    TRY_ASSIGN(auto* there, engine());
    const auto seen = engine_api::inspect_container(*there, run, ctx.with_timeout(look_patience));
    Running out;
    if (!seen && seen.error().code == Code::not_found) {
        out.how = "its container is gone";
        return out;
    }
    if (!seen) {
        return tl::unexpected(seen.error());
    }
    if (seen->state == "running" || seen->state == "paused") {
        out.phase = Running::Phase::running;
        out.pid = seen->pid;
        return out;
    }
    out.phase = seen->state == "created" ? Running::Phase::starting : Running::Phase::exited;
    out.how = resource::render_end(*seen);
    out.rebooted = is_of_another_boot(seen->started_at);
    return out;
}

void DockerProvider::begin(std::function<void(const std::string& life)> ended) {
    const std::lock_guard lock(mutex_);
    ended_ = std::move(ended);
}

void DockerProvider::end() {
    stop_.cancel();
    std::list<Follower> followers;
    std::jthread events;
    {
        const std::lock_guard lock(mutex_);
        followers.swap(followers_);
        events.swap(events_);
    }
}    // both are waited for here, without the lock that they take

void DockerProvider::tell(const std::string& run) {
    std::function<void(const std::string&)> ended;
    std::vector<std::string> lives;
    {
        const std::lock_guard lock(mutex_);
        ended = ended_;
        for (auto each = watched_.begin(); each != watched_.end();) {
            if (run.empty() || each->first == run) {
                lives.push_back(each->second);
                each = watched_.erase(each);
            } else {
                ++each;
            }
        }
    }
    for (const auto& life : lives) {
        if (ended && !stop_.context().cancelled()) {
            ended(life);
        }
    }
}

void DockerProvider::listen() {
    const auto there = engine();
    if (!there) {
        return;
    }
    engine_api::EventsWanted wanted;
    // From before the first look at what is watched: an end in between is told, too.
    wanted.since_nanoseconds = nanoseconds_now();
    wanted.labels = {
        {std::string(resource::type_label), std::string(resource::docker_container_type)}};
    wanted.on_reconnect = [this] { tell(""); };    // much may have gone by: look at all
    events_ = std::jthread([this, there = *there, wanted] {
        const Status ended = engine_api::watch_events(
            *there, wanted,
            [this](const engine_api::Event& event) {
                if (event.type == "container" && event.action == "die") {
                    tell(event.name);
                }
                return true;
            },
            stop_.context());
        if (!ended && !stop_.context().cancelled()) {
            log::error("the engine's events are not watched any more", ended.error());
        }
    });
}

Status DockerProvider::watch(const std::string& run, const std::string& life) {
    {
        const std::lock_guard lock(mutex_);
        if (stop_.context().cancelled()) {
            return {};
        }
        if (!events_.joinable()) {
            listen();
        }
        watched_[run] = life;
    }
    const auto seen = observe(run, stop_.context());
    if (seen && seen->phase == Running::Phase::running) {
        return {};
    }
    forget(run);
    return seen ? fail(Code::not_found, run + " has ended") : tl::unexpected(seen.error());
}

bool DockerProvider::watches(const std::string& run) const {
    const std::lock_guard lock(mutex_);
    return watched_.contains(run);
}

void DockerProvider::forget(const std::string& run) {
    const std::lock_guard lock(mutex_);
    watched_.erase(run);
}

Status DockerProvider::kill(const std::string& run, const Context& ctx) {
    TRY_ASSIGN(auto* there, engine());
    return engine_api::remove_container(*there, run, ctx);
}

// Container → its log file.
std::map<std::string, std::string> DockerProvider::logs_of(const Spec& spec) const {
    std::map<std::string, std::string> files;
    const auto folder = layout_.data / "logs" / spec.life;
    for (const auto& [component, run] : spec.names.runs) {
        files[run] = (folder / (component + ".log")).string();
    }
    files[spec.names.migrate_run] = (folder / "migrate.log").string();
    return files;
}

Status DockerProvider::copy_logs(const Spec& spec, const Context& ctx) {
    TRY_ASSIGN(auto* there, engine());
    for (const auto& [run, file] : logs_of(spec)) {
        TRY(resource::copy_container_log(*there, run, {.file = file, .limit_bytes = spec.log_bytes},
                                         ctx));
    }
    return {};
}

void DockerProvider::follow_logs(const Spec& spec, std::function<bool()> wanted) {
    const std::lock_guard lock(mutex_);
    std::erase_if(followers_, [](const Follower& each) { return each.done.load(); });
    for (const auto& [run, file] : logs_of(spec)) {
        if (followers_.size() >= most_followers || stop_.context().cancelled()) {
            return;
        }
        Follower& follower = followers_.emplace_back();
        follower.thread =
            std::jthread([this, &follower, run, file, limit = spec.log_bytes, wanted] {
                follow(run, file, limit, wanted);
                follower.done = true;
            });
    }
}

void DockerProvider::follow(const std::string& run, const std::string& file, std::int64_t limit,
                            const std::function<bool()>& wanted) const {
    const Context ctx = stop_.context();
    const auto there = engine();
    while (there && wanted() && !ctx.cancelled()) {
        // It may end, be made again for an update, or be followed by somebody else already.
        (void)resource::copy_container_log(
            **there, run, {.file = file, .limit_bytes = limit, .follow = true, .wanted = wanted},
            ctx.with_timeout(follow_slice));
        (void)wait_for(follow_pause, ctx);
    }
}

}    // namespace seatrial::preview::docker
