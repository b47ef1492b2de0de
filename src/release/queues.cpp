#include "release/queues.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "docker/containers.h"
#include "docker/json.h"
#include "net/client.h"
#include "release/queue_program.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Kind = config::ReleaseQueue::Kind;

constexpr milliseconds patience{30'000};    // a busy machine may take seconds to import Celery
constexpr milliseconds ask_pause{500};
constexpr std::int64_t most_output = 64 << 10;
constexpr std::size_t most_shown = 500;
constexpr std::size_t longest_answer = 4096;
constexpr int most_running = 1'000'000'000;

using OnLine = std::function<void(std::string_view line)>;

// Runs it and hands over the lines of its output; `failed` with the end of what it said.
Status run_in(docker::Engine& engine, const std::string& container,
              const std::vector<std::string>& argv, const OnLine& on_line, const Context& ctx) {
    docker::ExecSpec spec;
    spec.argv = argv;
    spec.limit_bytes = 4 << 20;
    std::string line;
    std::string said;
    const auto code = docker::exec_in_container(
        engine, container, spec,
        [&](docker::Stream stream, std::string_view text) {
            if (stream == docker::Stream::err) {
                said = (said + std::string(text)).substr(0, longest_answer);
                return true;
            }
            for (const char c : text) {
                if (c != '\n' && line.size() < most_output) {
                    line += c;
                } else if (c == '\n') {
                    on_line(line);
                    line.clear();
                }
            }
            return true;
        },
        ctx);
    if (!code) {
        return tl::unexpected(code.error());
    }
    if (!line.empty()) {
        on_line(line);
    }
    if (*code == 0) {
        return {};
    }
    // 126 and 127: there is no such program in the image.
    const std::string why(trim(said.empty() ? line : said));
    return fail(Code::failed, "`" + printable(argv.front()) + "` ended with exit code " +
                                  std::to_string(*code) +
                                  (why.empty() ? "" : ": " + printable(why).substr(0, most_shown)));
}

json told_of(const config::ReleaseQueue& queue, const Takers& takers, milliseconds time) {
    return {{"kind", queue.kind == Kind::rq ? "rq" : "celery"},
            {"url", queue.url},
            {"queues", queue.queues},
            {"workers", takers},
            {"seconds", std::max<std::int64_t>(1, time.count() / 1000)}};
}

Status no_place(const config::ReleaseQueue& queue) {
    return fail(Code::failed, "no component with a port answers for it",
                "name one in release.queues." + queue.name + ".component");
}

Result<std::string> ask_http(const Place& place, const std::string& method, const std::string& path,
                             const Context& ctx) {
    net::Client client;
    net::ClientRequest request;
    request.method = method;
    request.url = place.url + path;
    request.answer_limit = longest_answer;
    TRY_ASSIGN(auto answer, client.request(request, ctx));
    if (answer.status < 200 || answer.status > 299) {
        return fail(Code::failed,
                    method + " " + printable(path) + " answered " + std::to_string(answer.status));
    }
    return std::move(answer.body);
}

// Tells a custom queue, or asks it: what it answers.
Result<std::string> tell(docker::Engine& engine, const config::ReleaseQueue& queue,
                         const config::ReleaseQueue::Ask& ask, const std::string& method,
                         const Place& place, const Context& ctx) {
    if (!ask.path.empty()) {
        TRY(place.url.empty() ? no_place(queue) : Status());
        return ask_http(place, method, ask.path, ctx);
    }
    std::string out;
    TRY(run_in(
        engine, place.container, ask.argv,
        [&](std::string_view line) { out = trim(line).empty() ? out : std::string(line); }, ctx));
    return out;
}

// The end of our own patience is a fault of the app.
Error in_time(const Error& error, const Context& ctx) {
    return error.code == Code::timed_out && ctx.ok()
               ? Error{Code::failed, "it took too long", "", "", nullptr}
               : error;
}

Result<std::string> tell_in_time(docker::Engine& engine, const config::ReleaseQueue& queue,
                                 const config::ReleaseQueue::Ask& ask, const std::string& method,
                                 const Place& place, const Context& ctx) {
    auto said = tell(engine, queue, ask, method, place, ctx.with_timeout(patience));
    return said ? std::move(said) : tl::unexpected(in_time(said.error(), ctx));
}

Status run_program(docker::Engine& engine, const Place& place, const char* word, const json& told,
                   const OnLine& on_line, milliseconds limit, const Context& ctx) {
    const Status done = run_in(engine, place.container,
                               {"python3", "-c", std::string(queue_program), word, told.dump()},
                               on_line, ctx.with_timeout(limit));
    return done ? done : tl::unexpected(in_time(done.error(), ctx));
}

// The last count that it shows.
Result<int> run_counting(docker::Engine& engine, const Place& place, const char* word,
                         const json& told, const std::function<void(int)>& on_count,
                         milliseconds limit, const Context& ctx) {
    int count = 0;
    Status odd;
    TRY(run_program(
        engine, place, word, told,
        [&](std::string_view line) {
            const auto parsed = parse_running(line);
            if (!parsed) {
                odd = tl::unexpected(parsed.error());
                return;
            }
            count = *parsed;
            on_count(count);
        },
        limit, ctx));
    TRY(std::move(odd));
    return count;
}

Result<int> await_custom(docker::Engine& engine, const config::ReleaseQueue& queue,
                         const Place& place, milliseconds left,
                         const std::function<void(int)>& on_count, const Context& ctx) {
    const Context limited = ctx.with_timeout(left);
    while (true) {
        TRY_ASSIGN(const std::string said,
                   tell_in_time(engine, queue, queue.running, "GET", place, ctx));
        TRY_ASSIGN(const int count, parse_running(said));
        on_count(count);
        if (count == 0 || !wait_for(ask_pause, limited)) {
            TRY(ctx.ok());
            return count;
        }
    }
}

}    // namespace

Result<int> parse_running(std::string_view text) {
    const std::string_view word = trim(text);
    int count = -1;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), count);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) {
        const auto object = docker::parse_json(word);
        const json running = object ? docker::member(*object, "running") : json();
        const bool fits = running.is_number_integer() && running >= 0 && running <= most_running;
        count = fits ? running.get<int>() : -1;
    }
    if (count < 0) {
        return fail(Code::failed,
                    "`running` did not answer a number: " + printable(word).substr(0, 80),
                    "let it answer 3, or {\"running\": 3}");
    }
    return count;
}

Result<Takers> find_takers(docker::Engine& engine, const config::ReleaseQueue& queue,
                           const Place& place, const Context& ctx) {
    if (queue.kind != Kind::celery) {
        return Takers();
    }
    std::string answer;
    TRY(run_program(
        engine, place, "find", told_of(queue, {}, patience),
        [&](std::string_view line) { answer = line; }, patience, ctx));
    TRY_ASSIGN(const json takers, docker::parse_json(answer));
    try {
        return takers.get<Takers>();
    } catch (const json::exception&) {
        return fail(Code::failed,
                    "who takes from it cannot be told: " + printable(answer).substr(0, most_shown));
    }
}

Status pause_queue(docker::Engine& engine, const config::ReleaseQueue& queue, const Takers& takers,
                   const Place& place, milliseconds at_most, const Context& ctx) {
    if (queue.kind != Kind::custom) {
        return run_program(
            engine, place, "pause", told_of(queue, takers, at_most), [](std::string_view) {},
            patience, ctx);
    }
    TRY(tell_in_time(engine, queue, queue.pause, "POST", place, ctx));
    return {};
}

Status resume_queue(docker::Engine& engine, const config::ReleaseQueue& queue, const Takers& takers,
                    const Place& place, const Context& ctx) {
    if (queue.kind != Kind::custom) {
        return run_program(
            engine, place, "resume", told_of(queue, takers, patience), [](std::string_view) {},
            patience, ctx);
    }
    TRY(tell_in_time(engine, queue, queue.resume, "POST", place, ctx));
    return {};
}

Result<int> await_queue(docker::Engine& engine, const config::ReleaseQueue& queue,
                        const Takers& takers, const Place& place, milliseconds left,
                        const std::function<void(int)>& on_count, const Context& ctx) {
    return queue.kind == Kind::custom
               ? await_custom(engine, queue, place, left, on_count, ctx)
               : run_counting(engine, place, "watch", told_of(queue, takers, left), on_count,
                              left + patience, ctx);
}

Result<int> reset_cache(docker::Engine& engine, const config::ReleaseCache& cache,
                        const Place& place, const Context& ctx) {
    return run_counting(
        engine, place, "reset",
        {{"kind", "cache"}, {"url", cache.url}, {"prefixes", cache.prefixes}}, [](int) {}, patience,
        ctx);
}

namespace {

json ask_json(const config::ReleaseQueue::Ask& ask) {
    return ask.path.empty() ? json(ask.argv) : json(ask.path);
}

config::ReleaseQueue::Ask ask_of(const json& in) {
    return in.is_string() ? config::ReleaseQueue::Ask{in, {}}
                          : config::ReleaseQueue::Ask{"", in.get<std::vector<std::string>>()};
}

}    // namespace

json to_json(const config::ReleaseQueue& queue) {
    return {{"name", queue.name},
            {"kind", static_cast<int>(queue.kind)},
            {"component", queue.component},
            {"url", queue.url},
            {"queues", queue.queues},
            {"pause", ask_json(queue.pause)},
            {"resume", ask_json(queue.resume)},
            {"running", ask_json(queue.running)},
            {"timeout_ms", queue.timeout.count()},
            {"stop", queue.stop}};
}

config::ReleaseQueue queue_of(const json& in) {
    config::ReleaseQueue out;
    out.name = in.at("name");
    out.kind = static_cast<Kind>(in.at("kind").get<int>());
    out.component = in.at("component");
    out.url = in.at("url");
    out.queues = in.at("queues");
    out.pause = ask_of(in.at("pause"));
    out.resume = ask_of(in.at("resume"));
    out.running = ask_of(in.at("running"));
    out.timeout = milliseconds(in.at("timeout_ms").get<std::int64_t>());
    out.stop = in.at("stop");
    return out;
}

json to_json(const config::ReleaseCache& cache) {
    return {{"component", cache.component}, {"url", cache.url}, {"prefixes", cache.prefixes}};
}

config::ReleaseCache cache_of(const json& in) {
    return {in.at("component"), in.at("url"), in.at("prefixes")};
}

}    // namespace seatrial::release
