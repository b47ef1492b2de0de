// HAProxy's runtime sockets: one command, one connection, the answer as text; and the parsers of
// the answers. Source: HAProxy 2.6 management guide, section 9.3, and 9.4 for the master.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "edge/files.h"

namespace seatrial::edge {

// What stands on `line`, several commands with ; between them. Errors: unavailable (nobody
// listens), invalid (an answer over 64 MB), and the context's.
Result<std::string> ask(const std::filesystem::path& socket, std::string_view line,
                        const Context& ctx);

// The first complaint in the answer of changing commands, or ok. An answer is silent, or one of
// the few phrases of success.
Status complaint_of(std::string_view answer);

// `show map FILE`: lines of "0x… key value".
Result<Rows> parse_map(std::string_view answer);

struct ServerState {
    Server server;
    bool maintenance = false;
};
// `show servers state`: backend → server → state.
Result<std::map<std::string, std::map<std::string, ServerState>>> parse_servers(
    std::string_view answer);

// `show stat` as CSV: one row per line, column name → text.
using StatRow = std::map<std::string, std::string, std::less<>>;
Result<std::vector<StatRow>> parse_stat(std::string_view answer);
std::int64_t number_in(const StatRow& row, std::string_view column);    // 0 when empty or absent

// `show table NAME`: key → value name (without the period in brackets) → number.
Result<std::map<std::string, std::map<std::string, std::int64_t>>> parse_table(
    std::string_view answer);

struct Processes {
    pid_t worker = 0;
    std::vector<pid_t> old_workers;
    int failed_reloads = 0;
    int reloads = 0;
};
// The master's `show proc`.
Result<Processes> parse_processes(std::string_view answer);

// `show sess`: the ids of the sessions that are in `backend`.
std::vector<std::string> sessions_in(std::string_view answer, std::string_view backend);

// `show info`: what stands behind "NAME: ", empty when there is no such line.
std::string info_in(std::string_view answer, std::string_view name);

}    // namespace seatrial::edge
