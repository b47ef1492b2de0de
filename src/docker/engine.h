// A Docker engine, spoken to over its unix socket (Engine API, HTTP/1.1; between versions 1.40 and
// 1.47 the newest that both sides know). One engine serves many: we touch what carries our mark,
// the label `seatrial.instance=<our instance>`, and nothing else.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "net/client.h"

namespace seatrial::docker {

inline constexpr std::string_view instance_label = "seatrial.instance";
inline constexpr std::string_view spec_label = "seatrial.spec";    // hash of what it was made from

using Labels = std::map<std::string, std::string>;

struct Call {
    std::string method = "GET";
    std::string path;    // after the version: "/containers/json"; names in it through escape()
    net::Pairs query = {};
    std::string body = {};    // JSON
    net::Pairs headers = {};
    int upload_fd = -1;    // borrowed; a tar instead of `body`
};

struct Info {
    std::string version;        // of the engine
    std::string api_version;    // that we speak with it
    std::string storage_driver, cgroup_version, data_root, operating_system;
    std::int64_t memory_bytes = 0;
    int cpus = 0;
    bool live_restore = false;            // containers live on while the engine is away
    std::vector<std::string> warnings;    // the engine's own, for doctor
};

// Errors of every function in this folder: `unavailable` when the engine does not answer or says
// so (with a remedy), `refused` when its socket keeps us out, otherwise the engine's own message
// as `invalid`, `not_found`, `conflict` or `failed`; and the context's.
// Thread: any. Keeps a few connections.
class Engine {
public:
    Engine(std::filesystem::path socket, std::string instance);
    const std::string& instance() const { return instance_; }
    const std::filesystem::path& socket() const { return socket_; }

    Status ping(const Context& ctx);
    Result<Info> info(const Context& ctx);

    // The answer's JSON; null when it has none.
    Result<nlohmann::json> call(const Call& call, const Context& ctx);
    // The answer's bytes as they come; ok at their end or when `on_bytes` returns false.
    Status stream(const Call& call, const net::Client::OnBody& on_bytes, const Context& ctx);
    // The same for an answer of JSON objects; one that is {"error": ...} becomes `failed`.
    Status stream_json(const Call& call,
                       const std::function<bool(const nlohmann::json& object)>& on_object,
                       const Context& ctx);

    // Ours among the labels that anything in the engine carries.
    bool is_ours(const Labels& labels) const;
    // `labels` and our mark.
    Labels marked(Labels labels) const;
    // For the query of a listing: `filters` that let through what carries our mark and `labels`.
    std::string our_filter(const Labels& labels = {}) const;

private:
    class Lease;    // of a connection
    Result<std::string> api_version(Lease& lease, const Context& ctx);
    Result<net::ClientRequest> prepare(Lease& lease, const Call& call, const Context& ctx);
    tl::unexpected<Error> unreachable(Error error) const;
    Result<net::ClientResponse> check_answer(Result<net::ClientResponse> answer);

    const std::filesystem::path socket_;
    const std::string instance_;
    std::mutex mutex_;
    std::vector<net::Client> idle_;
    std::string version_;    // "" until the engine was asked
};

// Percent-encoded, but for what may stand in a path and in names of images.
std::string escape(std::string_view text);
// A name or id that cannot leave its place in a path; `invalid` otherwise.
Status check_name(std::string_view name);
// The same for an image: "repository/name:tag", "name@sha256:...", an id.
Status check_image_name(std::string_view name);

// `conflict` unless `labels` carry our mark. `what`: "container x".
Status check_ours(const Engine& engine, const Labels& labels, std::string_view what);

}    // namespace seatrial::docker
