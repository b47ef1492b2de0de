#include "docker/engine.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"
#include "docker/json.h"
#include "docker/streams.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

constexpr int oldest_minor = 40;
constexpr int newest_minor = 47;
constexpr std::size_t idle_connections = 4;
constexpr std::size_t longest_message = 2000;

// "1.41" → 41; the API has had no other major version.
std::optional<int> minor_of(std::string_view version) {
    int minor = 0;
    if (!version.starts_with("1.")) {
        return std::nullopt;
    }
    const auto digits = version.substr(2);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), minor);
    return parsed.ec == std::errc() ? std::optional(minor) : std::nullopt;
}

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

std::string message_in(const std::string& body) {
    const auto parsed = parse_json(body);
    const std::string message = parsed ? text_of(*parsed, "message") : "";
    return printable(message.empty() ? body : message).substr(0, longest_message);
}

// What an engine can do nothing about now, though it says 500 like for everything.
bool is_passing(const std::string& message) {
    static constexpr std::string_view signs[] = {
        "no space left on device", "connection refused", "i/o timeout", "no such host",
        "TLS handshake timeout",   "shutting down"};
    return std::ranges::any_of(
        signs, [&](std::string_view sign) { return message.find(sign) != std::string::npos; });
}

Code code_of(int status, const std::string& message) {
    switch (status) {
        case 400: return Code::invalid;
        case 401:
        case 403: return Code::refused;
        case 404: return Code::not_found;
        case 409: return Code::conflict;
        case 503: return Code::unavailable;
        default: return is_passing(message) ? Code::unavailable : Code::failed;
    }
}

// "... 127.0.0.1:8080 failed: port is already allocated" → "port:8080", as all who choose ports
// want to know which one was taken.
std::string taken_port(const std::string& message) {
    if (message.find("port is already allocated") == std::string::npos &&
        message.find("address already in use") == std::string::npos) {
        return "";
    }
    static constexpr std::string_view before[] = {"0.0.0.0:", "127.0.0.1:", "::1]:"};
    for (const std::string_view mark : before) {
        const auto at = message.find(mark);
        if (at != std::string::npos) {
            const auto from = at + mark.size();
            const auto end = message.find_first_not_of("0123456789", from);
            return "port:" + message.substr(from, end - from);
        }
    }
    return "";
}

tl::unexpected<Error> engine_error(int status, const std::string& message) {
    Error error{code_of(status, message), "docker: " + message, "", "", nullptr};
    error.field = taken_port(message);
    if (!error.field.empty()) {
        error.code = Code::conflict;
    }
    return tl::unexpected(std::move(error));
}

}    // namespace

// Takes a connection that is idle, gives it back.
class Engine::Lease {
public:
    explicit Lease(Engine& engine) : engine_(engine) {
        const std::lock_guard lock(engine.mutex_);
        if (!engine.idle_.empty()) {
            client_ = std::move(engine.idle_.back());
            engine.idle_.pop_back();
        }
    }
    ~Lease() {
        const std::lock_guard lock(engine_.mutex_);
        if (engine_.idle_.size() < idle_connections) {
            engine_.idle_.push_back(std::move(client_));
        }
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    net::Client& client() { return client_; }

private:
    Engine& engine_;
    net::Client client_;
};

Engine::Engine(std::filesystem::path socket, std::string instance)
    : socket_(std::move(socket)), instance_(std::move(instance)) {}

tl::unexpected<Error> Engine::unreachable(Error error) const {
    if (error.code == Code::refused) {
        error.hint =
            "let the daemon's user write to the socket (group docker), which makes it as "
            "good as root";
    } else if (error.code == Code::unavailable) {
        error.hint = "start the Docker engine, or correct the path of its socket";
    }
    return wrap(std::move(error), "Docker engine");
}

Result<net::ClientResponse> Engine::check_answer(Result<net::ClientResponse> answer) {
    if (!answer) {
        if (answer.error().code == Code::unavailable) {
            const std::lock_guard lock(mutex_);
            version_.clear();    // who answers next may be another engine
        }
        return unreachable(std::move(answer).error());
    }
    if (answer->status < 200 || answer->status > 399) {
        return engine_error(answer->status, message_in(answer->body));
    }
    return answer;
}

Result<std::string> Engine::api_version(Lease& lease, const Context& ctx) {
    {
        const std::lock_guard lock(mutex_);
        if (!version_.empty()) {
            return version_;
        }
    }
    net::ClientRequest request;
    request.url = "http://docker/_ping";
    request.unix_socket = socket_;
    TRY_ASSIGN(const auto answer, check_answer(lease.client().request(request, ctx)));
    const std::string theirs(answer.header("api-version").value_or(""));
    const auto minor = minor_of(theirs);
    if (!minor || *minor < oldest_minor) {
        return fail(Code::invalid,
                    socket_.string() + " is no Docker engine that we know (API version " +
                        printable(theirs).substr(0, 20) + ")",
                    "install Docker 19.03 or later");
    }
    const std::lock_guard lock(mutex_);
    version_ = "1." + std::to_string(std::min(*minor, newest_minor));
    return version_;
}

Result<net::ClientRequest> Engine::prepare(Lease& lease, const Call& call, const Context& ctx) {
    TRY_ASSIGN(const std::string version, api_version(lease, ctx));
    net::ClientRequest request;
    request.method = call.method;
    request.unix_socket = socket_;
    request.url = "http://docker/v" + version + call.path;
    char separator = '?';
    for (const auto& [name, value] : call.query) {
        request.url += std::exchange(separator, '&') + name + "=" + escape(value);
    }
    request.headers = call.headers;
    request.body = call.body;
    request.upload_fd = call.upload_fd;
    if (call.upload_fd >= 0) {
        request.headers.emplace_back("content-type", "application/x-tar");
    } else if (!call.body.empty()) {
        request.headers.emplace_back("content-type", "application/json");
    }
    return request;
}

Status Engine::ping(const Context& ctx) {
    Lease lease(*this);
    TRY(api_version(lease, ctx));
    net::ClientRequest request;
    request.url = "http://docker/_ping";
    request.unix_socket = socket_;
    TRY(check_answer(lease.client().request(request, ctx)));
    return {};
}

Result<json> Engine::call(const Call& call, const Context& ctx) {
    Lease lease(*this);
    TRY_ASSIGN(const auto request, prepare(lease, call, ctx));
    TRY_ASSIGN(const auto answer, check_answer(lease.client().request(request, ctx)));
    if (trim(answer.body).empty()) {
        return json();
    }
    return parse_json(answer.body);
}

Status Engine::stream(const Call& call, const net::Client::OnBody& on_bytes, const Context& ctx) {
    Lease lease(*this);
    TRY_ASSIGN(const auto request, prepare(lease, call, ctx));
    TRY(check_answer(lease.client().stream(request, on_bytes, ctx)));
    return {};
}

Status Engine::stream_json(const Call& call, const std::function<bool(const json&)>& on_object,
                           const Context& ctx) {
    JsonStream objects;
    Status outcome;
    const auto take = [&](const json& object) {
        const std::string error = text_of(object, "error");
        if (!error.empty()) {
            const auto code =
                static_cast<int>(number_of(member(object, "errorDetail"), "code") % 1000);
            outcome = engine_error(code, printable(error).substr(0, longest_message));
            return false;
        }
        return on_object(object);
    };
    const auto feed = [&](std::string_view bytes) {
        const auto fed = objects.feed(bytes, take);
        if (!fed) {
            outcome = tl::unexpected(fed.error());
        }
        return fed && *fed;
    };
    TRY(stream(call, feed, ctx));
    return outcome;
}

Result<Info> Engine::info(const Context& ctx) {
    TRY_ASSIGN(const json answer, call({.path = "/info"}, ctx));
    Info info;
    {
        Lease lease(*this);
        TRY_ASSIGN(info.api_version, api_version(lease, ctx));
    }
    info.version = text_of(answer, "ServerVersion");
    info.storage_driver = text_of(answer, "Driver");
    info.cgroup_version = text_of(answer, "CgroupVersion");
    info.data_root = text_of(answer, "DockerRootDir");
    info.operating_system = text_of(answer, "OperatingSystem");
    info.memory_bytes = number_of(answer, "MemTotal");
    info.cpus = static_cast<int>(number_of(answer, "NCPU"));
    info.live_restore = flag_of(answer, "LiveRestoreEnabled");
    for (const json& warning : member(answer, "Warnings")) {
        info.warnings.push_back(warning.is_string() ? warning.get<std::string>() : "");
    }
    return info;
}

bool Engine::is_ours(const Labels& labels) const {
    const auto found = labels.find(std::string(instance_label));
    return found != labels.end() && found->second == instance_;
}

Labels Engine::marked(Labels labels) const {
    labels[std::string(instance_label)] = instance_;
    return labels;
}

std::string Engine::our_filter(const Labels& labels) const {
    json wanted = json::array();
    for (const auto& [name, value] : marked(labels)) {
        wanted.push_back(name + "=" + value);
    }
    return json{{"label", wanted}}.dump();
}

std::string escape(std::string_view text) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    static constexpr std::string_view beside = "~/:@";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_plain(c) || beside.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += {'%', digits[byte >> 4U], digits[byte & 15U]};
        }
    }
    return out;
}

Status check_name(std::string_view name) {
    const bool good = !name.empty() && name.size() <= 255 && name.front() != '.' &&
                      name.front() != '-' &&
                      std::ranges::all_of(name, [](char c) { return is_plain(c); });
    return good ? Status() : fail(Code::invalid, "not a name for Docker: " + printable(name));
}

Status check_image_name(std::string_view name) {
    static constexpr std::string_view between = "/:@";
    const bool good =
        !name.empty() && name.size() <= 512 && name.front() != '.' && name.front() != '-' &&
        name.front() != '/' && name.find("..") == std::string_view::npos &&
        std::ranges::all_of(
            name, [](char c) { return is_plain(c) || between.find(c) != std::string_view::npos; });
    return good ? Status() : fail(Code::invalid, "not an image's name: " + printable(name));
}

Status check_ours(const Engine& engine, const Labels& labels, std::string_view what) {
    if (engine.is_ours(labels)) {
        return {};
    }
    return fail(Code::conflict, std::string(what) + " is not ours: it lacks the label " +
                                    std::string(instance_label) + "=" + engine.instance());
}

}    // namespace seatrial::docker
