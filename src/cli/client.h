// The command line's side of the API: finds the daemon of a data folder, starts one when asked.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/globals.h"
#include "net/client.h"

namespace seatrial::cli {

// Thread: one at a time.
class DaemonClient {
public:
    explicit DaemonClient(const Globals& globals);

    // JSON in, JSON out. A problem document becomes its Error; `unavailable` with field "server"
    // when no daemon answers.
    Result<nlohmann::json> call(const std::string& method, const std::string& path,
                                const nlohmann::json& body, const Context& ctx);
    Result<nlohmann::json> get(const std::string& path, const Context& ctx);
    Status upload(const std::string& path, int fd, const Context& ctx);
    // Server-sent events until `on_event` returns false; reconnects over a daemon restart, from
    // the last event seen, until `ctx` ends.
    Status listen(const std::string& path, const net::Client::OnEvent& on_event,
                  const Context& ctx);

private:
    Result<net::ClientResponse> send(const net::ClientRequest& request, const Context& ctx);
    std::filesystem::path socket_;
    net::Client http_;
};

// Percent-encodes one path segment or query value.
std::string encode(std::string_view text);

// Starts `seatrial serve` in the background and waits until it is ready. `config_text`: the
// repository's own file, handed over by descriptor; "" = the --config file or none.
Status start_daemon(const Globals& globals, const std::string& config_text,
                    const std::string& config_name, const Context& ctx);

}    // namespace seatrial::cli
