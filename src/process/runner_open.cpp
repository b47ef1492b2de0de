#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "process/landlock.h"
#include "process/runner_impl.h"
#include "process/seccomp.h"
#include "process/spawn.h"

namespace seatrial::process {
namespace {

constexpr auto helper_end = std::chrono::seconds(5);
constexpr auto left_tools_end = std::chrono::seconds(30);

std::string helper_path() {
    if (const char* given = std::getenv("SEATRIAL_HELPER"); given != nullptr) {
        return given;
    }
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    return (self.parent_path() / "seatrial-helper").string();
}

// The helper sees nothing of our environment but what the tests of faults need.
std::vector<std::string> helper_env() {
    std::vector<std::string> env;
    for (const char* name : {"SEATRIAL_FAILPOINTS", "SEATRIAL_FAILPOINT_RECORD"}) {
        if (const char* value = std::getenv(name); value != nullptr) {
            env.push_back(std::string(name) + "=" + value);
        }
    }
    return env;
}

// SEATRIAL_CGROUPS=auto|v2|v1|none leaves control groups out, for hosts where they misbehave.
std::string cgroup_mode() {
    const char* mode = std::getenv("SEATRIAL_CGROUPS");
    return mode != nullptr && *mode != '\0' ? mode : "auto";
}

struct Pair {
    Fd ours;
    Fd theirs;
};
Result<Pair> make_pair_of_sockets() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        return fail_errno("cannot make a socket pair", errno);
    }
    return Pair{Fd(fds[0]), Fd(fds[1])};
}

bool is_instance(const std::string& text) {
    return !text.empty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    });
}

Result<Fd> make_fields_file(const std::string& fields) {
    Fd file(::memfd_create("request", MFD_CLOEXEC));
    if (!file ||
        ::write(file.get(), fields.data(), fields.size()) != static_cast<ssize_t>(fields.size())) {
        return fail_errno("cannot write a request", errno);
    }
    return file;
}

}    // namespace

Runner::Impl::~Impl() {
    control.reset();
    if (helper) {
        pollfd end{helper.get(), POLLIN, 0};
        const auto timeout = std::chrono::milliseconds(helper_end).count();
        if (::poll(&end, 1, static_cast<int>(timeout)) == 1) {
            reap(helper);
        }
    }
}

Status Runner::Impl::start_helper() {
    TRY_ASSIGN(Pair sockets, make_pair_of_sockets());
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) {
        return fail_errno("cannot open /dev/null", errno);
    }
    SpawnSpec spec;
    spec.path = helper_path();
    spec.argv = {"seatrial-helper",
                 data.string(),
                 instance,
                 std::to_string(identity.uid),
                 std::to_string(identity.gid),
                 cgroup_mode()};
    spec.env = helper_env();
    spec.stdio = {null.get(), null.get(), 2};
    spec.extra_fd = sockets.theirs.get();
    auto spawned = spawn(spec);
    if (!spawned) {
        return wrap(std::move(spawned.error()), "cannot start the helper");
    }
    control = std::move(sockets.ours);
    helper = std::move(spawned->pidfd);
    return {};
}

Status Runner::Impl::greet(const Context& ctx) {
    TRY_ASSIGN(const std::string told, call(Verb::hello, "", {}, ctx));
    WireReader in(told);
    private_tmp = in.number(0, 1) == 1;
    TRY_ASSIGN(cgroups, decode_cgroup(in.blob()));
    landlock = landlock_abi();
    auto program = make_seccomp_program();
    if (program) {
        seccomp = std::move(*program);
    } else if (program.error().code != Code::unavailable) {
        return tl::unexpected(std::move(program.error()));
    }
    return {};
}

Result<std::string> Runner::Impl::call(Verb verb, const std::string& fields,
                                       const std::vector<int>& fds, const Context& ctx) const {
    TRY(ctx.ok());
    if (fields.size() > max_request) {
        return fail(Code::invalid, "arguments and environment are larger than 2 MB");
    }
    TRY_ASSIGN(Pair reply, make_pair_of_sockets());
    TRY_ASSIGN(const Fd file, make_fields_file(fields));
    std::vector<int> all{reply.theirs.get(), file.get()};
    all.insert(all.end(), fds.begin(), fds.end());
    const char byte = static_cast<char>(verb);
    TRY(send_fds(control.get(), {&byte, 1}, all, ctx));
    reply.theirs.reset();
    TRY_ASSIGN([[maybe_unused]] const short ready, wait_fd(reply.ours.get(), POLLIN, ctx));
    TRY_ASSIGN(const Received received, receive_fds(reply.ours.get(), max_reply + 256));
    if (received.bytes.empty()) {
        return fail(Code::unavailable, "the helper ended without an answer");
    }
    return decode_reply(received.bytes);
}

Status Runner::Impl::end_left_tools(Runner& runner) const {
    const Context ctx = Context().with_timeout(left_tools_end);
    TRY_ASSIGN(const auto names, runner.list());
    for (const auto& name : names) {
        TRY_ASSIGN(const RunLook seen, look(name));
        if (!seen.record || seen.record->profile != Profile::tool) {
            continue;
        }
        // Without an exit file its shim was killed, and what it left we may not even see.
        TRY_ASSIGN(const auto left, runner.pids(name));
        if (seen.locked || !seen.exit || !left.empty()) {
            TRY(runner.kill(name, std::chrono::milliseconds(0), ctx));
        }
        // Nobody waits for it any more.
        TRY(runner.forget(name, ctx));
    }
    return {};
}

Status Runner::set_worktrees(const std::string& path, const Context& ctx) {
    TRY_ASSIGN([[maybe_unused]] const auto reply,
               impl_->call(Verb::root, encode(PlainRequest{{path}, 0}), {}, ctx));
    impl_->worktrees = path;
    return {};
}

Runner::Runner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runner::~Runner() = default;

Result<std::unique_ptr<Runner>> Runner::open(const HelperOptions& options) {
    if (!is_instance(options.instance)) {
        return fail(Code::invalid, "'" + options.instance + "' is not an instance id");
    }
    auto impl = std::make_unique<Impl>();
    impl->root = ::geteuid() == 0;
    impl->instance = options.instance;
    impl->given = std::filesystem::absolute(options.data).lexically_normal();
    if (!impl->given.has_filename()) {
        impl->given = impl->given.parent_path();
    }
    TRY_ASSIGN(impl->identity, daemon_identity(options.user));
    TRY(make_data_folder(impl->given, impl->identity));
    std::error_code error;
    impl->data = std::filesystem::canonical(impl->given, error);
    if (error) {
        return fail_errno("cannot resolve " + impl->given.string(), error.value());
    }
    TRY(impl->start_helper());
    TRY(drop_root(impl->identity, impl->data));
    TRY(impl->greet(Context().with_timeout(std::chrono::seconds(10))));
    Impl& inner = *impl;
    std::unique_ptr<Runner> runner(new Runner(std::move(impl)));
    TRY(inner.end_left_tools(*runner));
    return runner;
}

}    // namespace seatrial::process
