#include "resource/run_spec.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "process/private_tmp.h"

namespace seatrial::resource {
namespace {

// A server that listens on a UNIX socket alone is reached through the socket's folder, also
// where that lies below the /tmp that the run does not see.
Status show_database_socket(process::RunSpec& run, const nlohmann::json& spec,
                            const process::Runner& runner) {
    const auto environment = spec.value("environment", nlohmann::json::object());
    const auto database = environment.value("database", nlohmann::json::object());
    const std::string start = database.value("variable", "DATABASE_URL") + "=";
    for (const auto& line : run.env) {
        const auto folder = line.starts_with(start) ? socket_folder(line) : "";
        if (!runner.isolation().private_tmp || !process::is_private(folder)) {
            continue;
        }
        const bool whole = std::ranges::any_of(process::private_folders,
                                               [&](const char* each) { return folder == each; });
        if (whole) {
            return fail(Code::invalid,
                        "postgres.url: the server is reached by a socket in " + folder +
                            " only, and previews have a " + folder + " of their own",
                        "let it listen on 127.0.0.1 too (listen_addresses), or put its socket "
                        "elsewhere (unix_socket_directories = '/run/postgresql')");
        }
        run.shown.emplace_back(folder);
    }
    return {};
}

}    // namespace

std::string socket_folder(std::string_view url) {
    constexpr std::string_view key = "host=%2F";
    const auto at = url.find(key);
    std::string folder;
    for (auto i = at == std::string_view::npos ? url.size() : at + key.size() - 3;
         i < url.size() && url[i] != '&'; ++i) {
        unsigned code = 0;
        if (url[i] == '%' && i + 2 < url.size() &&
            std::from_chars(&url[i + 1], &url[i + 1] + 2, code, 16).ptr == &url[i + 1] + 2) {
            folder += static_cast<char>(code);
            i += 2;
        } else {
            folder += url[i];
        }
    }
    return folder;
}

constexpr std::uint64_t full_below = 64 << 10;    // bytes of a disk that has no room for a log

Result<process::RunSpec> make_run_spec(const std::string& name, process::Profile profile,
                                       const nlohmann::json& spec, process::Runner& runner,
                                       const DatabaseUrl& database_url, const Context& ctx) {
    process::RunSpec run;
    run.name = name;
    run.profile = profile;
    run.argv = spec.at("argv").get<std::vector<std::string>>();
    run.cwd = spec.at("cwd").get<std::string>();
    run.uid_slot = spec.value("uid_slot", -1);
    const std::filesystem::path home = spec.at("home").get<std::string>();
    // Once it has its owner we cannot look into it, and need not.
    const bool own_user = run.uid_slot >= 0 && runner.privileged();
    struct stat info{};
    if (::lstat(home.c_str(), &info) != 0 || !own_user ||
        info.st_uid != runner.uid_of(run.uid_slot)) {
        TRY(make_dirs(home / "tmp", 0700));
        if (own_user) {
            TRY(runner.own(home, run.uid_slot, ctx));
        }
    }
    TRY_ASSIGN(run.env, make_environment(spec.value("environment", nlohmann::json::object()), home,
                                         database_url, ctx));
    run.writable.push_back(home);
    run.tmp = home / "tmp";
    TRY(show_database_socket(run, spec, runner));
    for (const auto& path : spec.value("writable", nlohmann::json::array())) {
        run.writable.emplace_back(path.get<std::string>());
    }
    const auto limits = spec.value("limits", nlohmann::json::object());
    run.limits.memory_bytes = limits.value("memory", std::int64_t{0});
    run.limits.cpu_percent = limits.value("cpu", 0);
    run.limits.pids = limits.value("pids", 0);
    run.log = spec.at("log").get<std::string>();
    TRY(make_dirs(run.log.parent_path(), 0700));
    run.log_bytes = spec.value("log_bytes", run.log_bytes);
    return run;
}

std::string log_tail(const std::filesystem::path& log, int lines) {
    constexpr off_t window = 4096;
    const Fd fd(::open(log.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) {
        return {};
    }
    const off_t size = ::lseek(fd.get(), 0, SEEK_END);
    std::string text(static_cast<std::size_t>(std::min(size, window)), '\0');
    const ssize_t n =
        ::pread(fd.get(), text.data(), text.size(), std::max<off_t>(0, size - window));
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    std::size_t from = text.size();
    for (int i = 0; i < lines && from != std::string::npos; ++i) {
        from = from == 0 ? std::string::npos : text.rfind('\n', from - 1);
    }
    if (from != std::string::npos) {
        text.erase(0, from + 1);
    }
    struct statvfs disk{};
    if (::fstatvfs(fd.get(), &disk) == 0 && disk.f_bavail * disk.f_frsize < full_below) {
        text += (text.empty() ? "" : "\n") + std::string("(the disk is full: more is not logged)");
    }
    return printable(text, true);
}

std::string render_exit(const process::RunState& state) {
    if (!state.exit_code || *state.exit_code < 0) {
        return "it ended without a trace (killed from outside, or the machine restarted)";
    }
    if (*state.exit_code > 128) {
        const int signal = *state.exit_code - 128;
        return "killed by signal " + std::to_string(signal) +
               (state.oom_killed ? " (out of memory)" : "");
    }
    return "exit code " + std::to_string(*state.exit_code);
}

}    // namespace seatrial::resource
