#include "edge/runtime.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/file.h"
#include "base/text.h"

namespace seatrial::edge {
namespace {

constexpr std::size_t answer_limit = 64 << 20;

tl::unexpected<Error> unreadable(std::string_view what) {
    return fail(Code::unavailable,
                "HAProxy's answer to '" + std::string(what) + "' cannot be read");
}

Result<Fd> connect_to(const std::filesystem::path& socket) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.native().size() >= sizeof address.sun_path) {
        return fail(Code::invalid, "the path of HAProxy's socket is too long: " + socket.string());
    }
    std::memcpy(address.sun_path, socket.c_str(), socket.native().size() + 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        return fail_errno("socket", errno);
    }
    // A UNIX socket connects at once or not at all.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail(Code::unavailable,
                    "HAProxy does not listen at " + socket.string() + ": " + std::strerror(errno));
    }
    return fd;
}

Status send_all(int fd, std::string_view text, const Context& ctx) {
    while (!text.empty()) {
        const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            text.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            TRY(wait_fd(fd, POLLOUT, ctx));
        } else if (errno != EINTR) {
            return fail(Code::unavailable, std::string("HAProxy hung up: ") + std::strerror(errno));
        }
    }
    return {};
}

Result<std::string> read_all(int fd, const Context& ctx) {
    std::string out;
    std::array<char, 65536> chunk{};
    while (true) {
        const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
        if (got == 0) {
            return out;
        }
        if (got > 0) {
            if (out.size() + static_cast<std::size_t>(got) > answer_limit) {
                return fail(Code::invalid, "HAProxy's answer is longer than 64 MB");
            }
            out.append(chunk.data(), static_cast<std::size_t>(got));
        } else if (errno == EAGAIN) {
            TRY(wait_fd(fd, POLLIN, ctx));
        } else if (errno != EINTR) {
            return fail(Code::unavailable, std::string("HAProxy hung up: ") + std::strerror(errno));
        }
    }
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> out;
    for (const std::string_view word : split(line, ' ')) {
        if (!word.empty()) {
            out.push_back(word);
        }
    }
    return out;
}

template <class Number>
bool read_number(std::string_view text, Number* out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
    return error == std::errc() && end == text.data() + text.size();
}

// The columns of a header line that begins with "# ".
std::vector<std::string> columns_of(std::string_view header, char separator) {
    std::vector<std::string> out;
    header.remove_prefix(std::min<std::size_t>(2, header.size()));
    for (const std::string_view column : split(header, separator)) {
        out.emplace_back(trim(column));
    }
    return out;
}

}    // namespace

Result<std::string> ask(const std::filesystem::path& socket, std::string_view line,
                        const Context& ctx) {
    TRY_ASSIGN(const Fd fd, connect_to(socket));
    TRY(send_all(fd.get(), std::string(line) + "\n", ctx));
    // The master answers only once our side is closed.
    ::shutdown(fd.get(), SHUT_WR);
    return read_all(fd.get(), ctx);
}

Status complaint_of(std::string_view answer) {
    static constexpr std::array<std::string_view, 5> success{
        "no need to change", "IP changed", "port changed", "New server registered",
        "Server deleted"};
    for (const std::string_view raw : split(answer, '\n')) {
        const std::string_view line = trim(raw);
        bool good = line.empty();
        for (const std::string_view phrase : success) {
            good = good || line.substr(0, phrase.size()) == phrase;
        }
        if (!good) {
            return fail(Code::unavailable, "HAProxy says: " + printable(line.substr(0, 200)));
        }
    }
    return {};
}

Result<Rows> parse_map(std::string_view answer) {
    Rows out;
    for (const std::string_view line : split(answer, '\n')) {
        if (trim(line).empty()) {
            continue;
        }
        const auto words = words_of(line);
        if (words.size() != 3 || words[0].substr(0, 2) != "0x") {
            return unreadable("show map");
        }
        out[std::string(words[1])] = words[2];
    }
    return out;
}

Result<std::map<std::string, std::map<std::string, ServerState>>> parse_servers(
    std::string_view answer) {
    // Flags of srv_admin_state: forced, inherited and by resolution.
    constexpr unsigned maintenance = 0x01 | 0x02 | 0x20;
    std::map<std::string, std::map<std::string, ServerState>> out;
    for (const std::string_view line : split(answer, '\n')) {
        const auto words = words_of(line);
        if (words.size() <= 1 || words[0] == "#") {
            continue;
        }
        ServerState state;
        unsigned admin = 0;
        if (words.size() < 19 || !read_number(words[6], &admin) ||
            !read_number(words[18], &state.server.port)) {
            return unreadable("show servers state");
        }
        state.server.address = words[4];
        state.maintenance = (admin & maintenance) != 0;
        out[std::string(words[1])][std::string(words[3])] = state;
    }
    return out;
}

Result<std::vector<StatRow>> parse_stat(std::string_view answer) {
    std::vector<StatRow> out;
    std::vector<std::string> columns;
    for (const std::string_view line : split(answer, '\n')) {
        if (trim(line).empty()) {
            continue;
        }
        if (line.substr(0, 2) == "# ") {
            columns = columns_of(line, ',');
            continue;
        }
        const auto values = split(line, ',');
        if (columns.empty() || values.size() > columns.size()) {
            return unreadable("show stat");
        }
        StatRow& row = out.emplace_back();
        for (std::size_t i = 0; i < values.size(); ++i) {
            row[columns[i]] = values[i];
        }
    }
    return out;
}

std::int64_t number_in(const StatRow& row, std::string_view column) {
    std::int64_t out = 0;
    const auto found = row.find(column);
    return found != row.end() && read_number(found->second, &out) ? out : 0;
}

Result<std::map<std::string, std::map<std::string, std::int64_t>>> parse_table(
    std::string_view answer) {
    std::map<std::string, std::map<std::string, std::int64_t>> out;
    for (const std::string_view line : split(answer, '\n')) {
        if (trim(line).empty() || line[0] == '#') {
            continue;
        }
        std::map<std::string, std::int64_t>* values = nullptr;
        for (const std::string_view word : words_of(line)) {
            const std::size_t equals = word.find('=');
            if (equals == std::string_view::npos) {
                continue;
            }
            const std::string_view name = word.substr(0, std::min(equals, word.find('(')));
            const std::string_view value = word.substr(equals + 1);
            std::int64_t number = 0;
            if (name == "key") {
                values = &out[std::string(value)];
            } else if (values == nullptr || !read_number(value, &number)) {
                return unreadable("show table");
            } else {
                (*values)[std::string(name)] = number;
            }
        }
        if (values == nullptr) {
            return unreadable("show table");
        }
    }
    return out;
}

Result<Processes> parse_processes(std::string_view answer) {
    Processes out;
    bool old = false;
    bool master = false;
    for (const std::string_view line : split(answer, '\n')) {
        old = old || line.substr(0, 5) == "# old";
        const auto words = words_of(line);
        if (words.size() < 3 || words[0][0] == '#') {
            continue;
        }
        pid_t pid = 0;
        if (!read_number(words[0], &pid)) {
            return unreadable("show proc");
        }
        if (words[1] == "master") {
            master = true;
            // "2 [failed: 1]"
            if (!read_number(words[2], &out.reloads) || words.size() < 5 ||
                !read_number(words[4].substr(0, words[4].find(']')), &out.failed_reloads)) {
                return unreadable("show proc");
            }
        } else if (words[1] == "worker") {
            if (old) {
                out.old_workers.push_back(pid);
            } else {
                out.worker = pid;
            }
        }
    }
    if (!master) {
        return unreadable("show proc");
    }
    return out;
}

std::vector<std::string> sessions_in(std::string_view answer, std::string_view backend) {
    const std::string word = " be=" + std::string(backend) + " ";
    std::vector<std::string> out;
    for (const std::string_view line : split(answer, '\n')) {
        if (line.starts_with("0x") && line.find(word) != std::string_view::npos) {
            out.emplace_back(line.substr(0, line.find(':')));
        }
    }
    return out;
}

std::string info_in(std::string_view answer, std::string_view name) {
    const std::string start = std::string(name) + ": ";
    for (const std::string_view line : split(answer, '\n')) {
        if (line.substr(0, start.size()) == start) {
            return std::string(trim(line.substr(start.size())));
        }
    }
    return {};
}

}    // namespace seatrial::edge
