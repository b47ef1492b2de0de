// Logs, events, bundles and backups.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "api/body.h"
#include "api/handlers.h"
#include "base/text.h"
#include "git/refs.h"
#include "log/log.h"
#include "preview/spec.h"
#include "preview/view.h"
#include "resource/run_spec.h"

namespace seatrial::api {
namespace {

using nlohmann::json;
constexpr std::chrono::seconds log_patience{5};

// Component names of a life: those of its spec, then logs of tools and of former components.
std::vector<LogSource> log_sources(const Services& services, const store::Life& life,
                                   const std::string& component) {
    std::set<std::string> names;
    if (const auto spec = preview::parse_spec(life.spec)) {
        for (const auto& [name, run] : spec->names.runs) {
            names.insert(name);
        }
    }
    const auto folder = services.parts.layout.data / "logs" / life.id;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        if (entry.path().extension() == ".log") {
            names.insert(entry.path().stem());
        }
    }
    std::vector<LogSource> sources;
    for (const auto& name : names) {
        if (component.empty() || component == name) {
            sources.push_back({name, folder / (name + ".log")});
        }
    }
    return sources;
}

// What a provider keeps elsewhere comes into the files; as long as `stream` is open, if it is one.
// Logs that cannot be had now are no reason to hide those that can.
void bring_logs_up_to_date(Services& services, const http::Request& request,
                           const std::shared_ptr<http::EventStream>& stream, const Context& ctx) {
    const auto life = find(services, request, true);
    const auto spec = life ? preview::parse_spec(life->spec) : tl::unexpected(life.error());
    const auto provider =
        spec ? preview::provider_of(services.parts, *spec) : tl::unexpected(spec.error());
    if (!provider || life->state == "removed") {
        return;
    }
    if (const auto copied = (*provider)->copy_logs(*spec, ctx.with_timeout(log_patience));
        !copied) {
        log::warn("logs are not up to date", copied.error(), {{"life", life->id}});
    }
    if (stream) {
        (*provider)->follow_logs(*spec, [stream] { return !stream->closed(); });
    }
}

Result<std::vector<LogSource>> wanted_logs(Services& services, const http::Request& request) {
    TRY_ASSIGN(const auto life, find(services, request, true));
    const std::string component = query(request, "component");
    auto sources = log_sources(services, life, component);
    if (sources.empty() && !component.empty()) {
        std::vector<std::string> names;
        for (const auto& source : log_sources(services, life, "")) {
            names.push_back(source.component);
        }
        return fail(Code::not_found, "there is no component " + printable(component),
                    "it has: " + join(names, ", "));
    }
    return sources;
}

}    // namespace

http::Response get_logs(Services& services, const http::Request& request, const Context& ctx) {
    bring_logs_up_to_date(services, request, nullptr, ctx);
    const auto sources = wanted_logs(services, request);
    if (!sources) {
        return http::problem(sources.error());
    }
    constexpr std::int64_t most = 4 << 20;
    std::int64_t bytes = 64 << 10;
    const std::string asked = query(request, "bytes");
    std::from_chars(asked.data(), asked.data() + asked.size(), bytes);
    bytes = std::clamp<std::int64_t>(bytes, 0, most);
    json logs = json::array();
    for (const auto& source : *sources) {
        const Fd fd(::open(source.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        std::string text;
        std::int64_t size = 0;
        if (fd) {
            struct stat info{};
            ::fstat(fd.get(), &info);
            size = info.st_size;
            text.resize(static_cast<std::size_t>(std::min(size, bytes)));
            const ssize_t n = ::pread(fd.get(), text.data(), text.size(),
                                      size - static_cast<std::int64_t>(text.size()));
            text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        }
        logs.push_back({{"component", source.component}, {"bytes", size}, {"text", text}});
    }
    return answer(200, {{"logs", logs}});
}

http::Response stream_logs(Services& services, const http::Request& request,
                           const std::shared_ptr<http::EventStream>& stream, const Context& ctx) {
    bring_logs_up_to_date(services, request, stream, ctx);
    const auto sources = wanted_logs(services, request);
    if (!sources) {
        return http::problem(sources.error());
    }
    constexpr std::int64_t tail = 16 << 10;
    const auto following = services.logs.follow(stream, *sources, tail);
    return following ? http::Response{} : http::problem(following.error());
}

http::Response post_repository(Services& services, const http::Request& request,
                               const Context& ctx) {
    const auto body = parse_body(request, {{"repository", Kind::text}, {"remote", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    const std::string mirror =
        services.manager.mirror_name(body->value("repository", ""), body->value("remote", ""));
    const auto known = services.manager.known_commits(mirror, ctx);
    return known ? answer(200, {{"mirror", mirror}, {"known", *known}})
                 : http::problem(known.error());
}

http::Response put_bundle(Services& services, const http::Request& request, const Context& ctx) {
    const auto received = services.manager.receive_bundle(
        std::string(request.param("mirror")), request.body_file, query(request, "commit"), ctx);
    return received ? answer(200, {{"received", true}}) : http::problem(received.error());
}

http::Response stream_events(Services& services, const http::Request& request,
                             const std::shared_ptr<http::EventStream>& stream,
                             const Context& /*ctx*/) {
    std::string from(request.header("last-event-id").value_or(""));
    if (from.empty()) {
        from = query(request, "after");
    }
    std::int64_t after = 0;
    if (from.empty()) {
        after = services.parts.records.last_event().value_or(0);
    } else {
        std::from_chars(from.data(), from.data() + from.size(), after);
    }
    const auto subscribed = services.events.subscribe(stream, query(request, "life"), after);
    return subscribed ? http::Response{} : http::problem(subscribed.error());
}

http::Response post_backup(Services& services, const http::Request& /*request*/,
                           const Context& /*ctx*/) {
    const auto folder = services.info.data / "backups";
    if (const auto made = make_dirs(folder, 0700); !made) {
        return http::problem(made.error());
    }
    std::string name = render_time(now_utc());
    std::erase(name, ':');
    const auto file = folder / ("seatrial-" + name + ".db");
    const auto done = services.parts.records.backup_to(file);
    return done ? answer(200, {{"file", file.string()}}) : http::problem(done.error());
}

}    // namespace seatrial::api
