#include "support/postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "base/file.h"

namespace seatrial::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void give_up(const std::string& what) {
    std::cerr << "private PostgreSQL: " << what << std::endl;
    std::abort();
}

// Who the server runs as: it refuses root.
const passwd* server_user() {
    if (::geteuid() != 0) {
        return nullptr;
    }
    const passwd* user = ::getpwnam("postgres");
    return user != nullptr ? user : ::getpwnam("nobody");
}

void hand_over(const fs::path& path) {
    if (const passwd* user = server_user()) {
        if (::lchown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
            give_up("chown " + path.string());
        }
    }
}

void hand_over_tree(const fs::path& root) {
    hand_over(root);
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        hand_over(entry.path());
    }
}

// The newest server that is installed.
fs::path server_binaries() {
    if (const char* chosen = std::getenv("SEATRIAL_TEST_PGBIN")) {
        return chosen;
    }
    fs::path newest;
    int best = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
        const int version = std::atoi(entry.path().filename().c_str());
        if (version > best && fs::exists(entry.path() / "bin/initdb")) {
            best = version;
            newest = entry.path() / "bin";
        }
    }
    if (newest.empty()) {
        give_up("no server below /usr/lib/postgresql: install postgresql-15");
    }
    return newest;
}

// Starts argv as the server's user, with its output in `log`. The process gets SIGQUIT when this
// thread dies: for a PostgreSQL server that is "stop at once".
pid_t spawn_as_server(std::vector<std::string> argv, const fs::path& log) {
    std::vector<std::string> all = {"setpriv", "--pdeathsig=QUIT"};
    if (const passwd* user = server_user()) {
        all.push_back("--reuid=" + std::to_string(user->pw_uid));
        all.push_back("--regid=" + std::to_string(user->pw_gid));
        all.emplace_back("--clear-groups");
    }
    all.insert(all.end(), std::make_move_iterator(argv.begin()),
               std::make_move_iterator(argv.end()));
    std::vector<char*> pointers;
    for (std::string& word : all) {
        pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);
    std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    std::string language = "LC_ALL=C.UTF-8";
    std::string zone = "TZ=UTC";
    char* environment[] = {path.data(), language.data(), zone.data(), nullptr};

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);    // Ctrl-C is not for it
    pid_t pid = -1;
    const int code =
        ::posix_spawnp(&pid, "setpriv", &actions, &attributes, pointers.data(), environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) {
        give_up("cannot run setpriv");
    }
    return pid;
}

// In memory where there is room: cloning and dropping databases on a disk that many files were
// just deleted from takes up to forty times as long. Short: a socket's path has 107 bytes.
std::string parent_folder() {
    constexpr std::uintmax_t enough = 2ULL << 30;
    std::error_code error;
    const fs::space_info space = fs::space("/dev/shm", error);
    const bool good = !error && space.available >= enough && ::access("/dev/shm", W_OK) == 0;
    return good ? "/dev/shm" : "/tmp";
}

fs::path private_folder() {
    std::string pattern = parent_folder() + "/seatrial-pg-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        give_up("mkdtemp");
    }
    ::chmod(pattern.c_str(), 0755);
    return pattern;
}

// initdb takes half a second, a copy of its result 20 ms: made once and kept in the build tree.
fs::path data_template() {
    const fs::path binaries = server_binaries();
    const std::string version = binaries.parent_path().filename();
    const char* elsewhere = std::getenv("SEATRIAL_TEST_CACHE");
    const fs::path cache = elsewhere != nullptr ? elsewhere : SEATRIAL_TEST_CACHE;
    const fs::path ready = cache / ("postgres-" + version);
    fs::create_directories(cache);
    const Fd lock(::open((cache / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ::flock(lock.get(), LOCK_EX);    // test programs run side by side
    if (fs::exists(ready)) {
        return ready;
    }
    const fs::path folder = private_folder();
    hand_over(folder);
    const pid_t pid =
        spawn_as_server({binaries / "initdb", "-D", folder / "data", "-A", "trust", "-U",
                         "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"},
                        folder / "log");
    int state = 0;
    if (::waitpid(pid, &state, 0) != pid || state != 0) {
        give_up("initdb failed, see " + (folder / "log").string());
    }
    const fs::path part = cache / ("postgres-" + version + ".part");
    fs::remove_all(part);
    fs::copy(folder / "data", part, fs::copy_options::recursive);
    fs::rename(part, ready);
    fs::remove_all(folder);
    return ready;
}

// Every process of a server works in its data folder (and sits in a session of its own).
bool works_in(const fs::path& folder) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
        if (fs::read_symlink(entry.path() / "cwd", ignored) == folder) {
            return true;
        }
    }
    return false;
}

int free_port() {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket.get(), generic, size) != 0 ||
        ::getsockname(socket.get(), generic, &size) != 0) {
        give_up("no free port");
    }
    return ntohs(address.sin_port);
}

void configure(const fs::path& folder, int port, const std::vector<std::string>& settings) {
    std::ofstream conf(folder / "data/postgresql.conf", std::ios::app);
    conf << "\nport=" << port << "\nlisten_addresses='127.0.0.1'\nunix_socket_directories='"
         << (folder / "sock").string()
         << "'\ndynamic_shared_memory_type=mmap\nfsync=off\nfull_page_writes=off\nautovacuum=off\n"
            "shared_buffers=16MB\nmax_connections=60\nsuperuser_reserved_connections=3\n"
            "log_statement=all\nlog_connections=on\nlog_min_messages=debug1\n";
    for (const std::string& line : settings) {
        conf << line << "\n";
    }
    std::ofstream(folder / "data/pg_hba.conf") << "local all all trust\n"
                                                  "host all all 127.0.0.1/32 scram-sha-256\n";
}

}    // namespace

std::unique_ptr<PrivatePostgres> PrivatePostgres::start(const std::vector<std::string>& settings) {
    std::unique_ptr<PrivatePostgres> server(new PrivatePostgres());
    const fs::path source = data_template();
    server->folder_ = private_folder();
    server->port_ = free_port();
    fs::create_directory(server->folder_ / "sock");
    fs::copy(source, server->folder_ / "data", fs::copy_options::recursive);
    configure(server->folder_, server->port_, settings);
    fs::permissions(server->folder_ / "data", fs::perms::owner_all);
    hand_over_tree(server->folder_);
    server->spawn();
    return server;
}

PrivatePostgres& PrivatePostgres::shared() {
    static const std::unique_ptr<PrivatePostgres> server = start();
    return *server;
}

PrivatePostgres::~PrivatePostgres() {
    if (pid_ > 0) {
        ::kill(pid_, SIGQUIT);
        wait_gone();
    }
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

void PrivatePostgres::spawn() {
    pid_ =
        spawn_as_server({server_binaries() / "postgres", "-D", folder_ / "data"}, folder_ / "log");
    const Context ctx = Context().with_timeout(std::chrono::seconds(60));
    while (!sql::Postgres::open(target(), ctx)) {
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_ || ctx.expired()) {
            give_up("the server did not start:\n" + log());
        }
        [[maybe_unused]] const Status waited = wait_for(std::chrono::milliseconds(5), ctx);
    }
}

// The server's first process may be gone before its children, which hold the shared memory:
// whoever starts again too early is refused.
void PrivatePostgres::wait_gone() {
    ::waitpid(pid_, nullptr, 0);
    const Context ctx = Context().with_timeout(std::chrono::seconds(30));
    while (works_in(folder_ / "data")) {
        if (ctx.expired()) {
            give_up("processes of the server stay");
        }
        [[maybe_unused]] const Status waited = wait_for(std::chrono::milliseconds(2), ctx);
    }
    pid_ = -1;
}

void PrivatePostgres::stop() {
    ::kill(pid_, SIGINT);    // "fast"
    wait_gone();
}

void PrivatePostgres::crash() {
    ::kill(pid_, SIGKILL);
    wait_gone();
}

void PrivatePostgres::start_again() {
    fs::remove(folder_ / "data/postmaster.pid");
    spawn();
}

std::string PrivatePostgres::conninfo(const std::string& user) const {
    return "host=" + (folder_ / "sock").string() + " port=" + std::to_string(port_) +
           " user=" + user + " dbname=postgres";
}

std::string PrivatePostgres::tcp_conninfo(const std::string& user,
                                          const std::string& password) const {
    return "host=127.0.0.1 port=" + std::to_string(port_) + " user=" + user +
           " password=" + password + " dbname=postgres";
}

sql::PostgresTarget PrivatePostgres::target(const std::string& user) const {
    return {Secret(conninfo(user)), {}};
}

sql::Postgres PrivatePostgres::connect(const std::string& database, const std::string& user) const {
    auto opened = sql::Postgres::open({Secret(conninfo(user)), database},
                                      Context().with_timeout(std::chrono::seconds(20)));
    if (!opened) {
        give_up("connect to " + database + ": " + render_error(opened.error()));
    }
    return std::move(*opened);
}

std::vector<sql::PgRow> PrivatePostgres::query(std::string_view sql, const std::string& database,
                                               const std::string& user) const {
    auto connection = connect(database, user);
    auto rows = connection.query(sql, {}, Context().with_timeout(std::chrono::seconds(60)));
    if (!rows) {
        ADD_FAILURE() << sql << ": " << render_error(rows.error());
        return {};
    }
    return std::move(*rows);
}

void PrivatePostgres::execute(std::string_view sql, const std::string& database,
                              const std::string& user) const {
    auto connection = connect(database, user);
    const Status done = connection.execute(sql, Context().with_timeout(std::chrono::seconds(60)));
    EXPECT_TRUE(done) << sql << ": " << render_error(done.error());
}

std::string PrivatePostgres::value(std::string_view sql, const std::string& database) const {
    const auto rows = query(sql, database);
    return rows.empty() || rows[0].empty() ? "" : rows[0][0].value_or("");
}

std::string PrivatePostgres::log() const {
    auto content = read_file(folder_ / "log", std::size_t{1} << 30);
    return content ? std::move(*content) : render_error(content.error());
}

}    // namespace seatrial::test
