// seatrial-helper DATA INSTANCE UID GID CGROUPS; the control socket is descriptor 3.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/failpoint.h"
#include "base/names.h"
#include "helper/server.h"
#include "process/overlay.h"
#include "process/private_tmp.h"
#include "process/proc.h"
#include "process/tree.h"
#include "process/uid_range.h"

namespace seatrial::helper {
namespace {

using process::Verb;

constexpr int control = 3;

Result<std::string> done(const Status& status) {
    return status ? Result<std::string>("") : tl::unexpected(status.error());
}

Status serve_kill(const Server& server, const std::string& fields) {
    TRY_ASSIGN(const auto asked, process::decode_kill(fields));
    TRY(check_name(server, asked.name));
    process::Members members = members_of_run(server, asked.name);
    Fd shim;    // held: its number cannot be reused while we walk its tree
    if (auto opened = process::open_process(asked.shim, asked.shim_start); opened) {
        shim = std::move(*opened);
        members.shim = asked.shim;
    }
    members.pipe = asked.pipe;
    TRY(failpoint("helper.kill.before"));
    return process::end_members(members, asked.grace, Context().with_timeout(asked.timeout));
}

Status serve_forget(const Server& server, const std::string& fields) {
    TRY_ASSIGN(const auto asked, process::decode_plain(fields, 1));
    TRY(check_name(server, asked.texts[0]));
    TRY(failpoint("helper.forget.before"));
    return process::remove_cgroups(server.cgroups, asked.texts[0]);
}

Result<std::string> serve_census(const Server& server, const std::string& fields) {
    TRY_ASSIGN(const auto asked, process::decode_plain(fields, 0));
    if (asked.number < 0 || asked.number >= process::uid_slots) {
        return fail(Code::invalid, "no such uid slot");
    }
    const auto slot = static_cast<uid_t>(asked.number);
    return std::string(process::uid_in_use(process::first_uid(server.instance) + slot) ? "busy"
                                                                                       : "idle");
}

Status serve_own(const Server& server, const std::string& fields) {
    TRY_ASSIGN(const auto asked, process::decode_plain(fields, 1));
    if (!server.root) {
        return fail(Code::unavailable, "changing owners needs root");
    }
    if (asked.number < -1 || asked.number >= process::uid_slots) {
        return fail(Code::invalid, "no such uid slot: " + std::to_string(asked.number));
    }
    const uid_t first = process::first_uid(server.instance);
    const uid_t slot = first + static_cast<uid_t>(asked.number);
    TRY_ASSIGN(const auto place, process::open_parent(server.roots, asked.texts[0]));
    return process::own_tree(
        place.first, place.second,
        {asked.number < 0 ? server.uid : slot, asked.number < 0 ? server.gid : slot, server.uid,
         first, first + static_cast<uid_t>(process::uid_slots) - 1});
}

// remove and umount: what is not there is done.
Status serve_away(const Server& server, Verb verb, const std::string& fields) {
    TRY_ASSIGN(const auto asked, process::decode_plain(fields, 1));
    const auto place = process::open_parent(server.roots, asked.texts[0]);
    if (!place) {
        return place.error().code == Code::not_found ? Status{}
                                                     : Status(tl::unexpected(place.error()));
    }
    return verb == Verb::remove ? process::remove_tree(place->first, place->second)
                                : process::umount_overlay(place->first, place->second);
}

Status serve_mount(const Server& server, const std::string& fields) {
    TRY_ASSIGN(const auto asked, process::decode_plain(fields, 4));
    std::vector<Fd> folders;
    for (const auto& path : asked.texts) {
        if (path.find_first_of(":,\\") != std::string::npos) {
            return fail(Code::refused, "'" + path + "' cannot be part of an overlay");
        }
        TRY_ASSIGN([[maybe_unused]] const auto deep_enough,
                   process::open_parent(server.roots, path));
        TRY_ASSIGN(Fd folder, process::open_below(server.roots, path, O_PATH | O_DIRECTORY));
        folders.push_back(std::move(folder));
    }
    TRY_ASSIGN(const auto place, process::open_parent(server.roots, asked.texts[3]));
    return process::mount_overlay({std::move(folders[0]), std::move(folders[1]),
                                   std::move(folders[2]), std::move(folders[3])},
                                  place.first, place.second);
}

std::string hello(const Server& server) {
    process::WireWriter out;
    out.number(server.private_tmp ? 1 : 0);
    out.text(process::encode(server.cgroups));
    return out.bytes();
}

Result<std::string> serve(const Server& server, Request& request) {
    switch (request.verb) {
        case Verb::hello: return hello(server);
        case Verb::run: serve_run(server, request);
        case Verb::kill: return done(serve_kill(server, request.fields));
        case Verb::forget: return done(serve_forget(server, request.fields));
        case Verb::census: return serve_census(server, request.fields);
        case Verb::own: return done(serve_own(server, request.fields));
        case Verb::root: break;    // changes the helper itself: see answer_root()
        case Verb::mount: return done(serve_mount(server, request.fields));
        case Verb::remove:
        case Verb::umount: return done(serve_away(server, request.verb, request.fields));
    }
    return fail(Code::invalid, "the request is malformed");
}

Status read_fields(const Fd& file, std::string& fields) {
    struct stat info{};
    if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_size > static_cast<off_t>(process::max_request)) {
        return fail(Code::invalid, "the request is malformed");
    }
    fields.resize(static_cast<std::size_t>(info.st_size));
    const ssize_t n = ::pread(file.get(), fields.data(), fields.size(), 0);
    if (n != static_cast<ssize_t>(fields.size())) {
        return fail(Code::invalid, "the request is malformed");
    }
    return {};
}

// Once, before the daemon has listened to anybody: one that was taken over later gets no root.
Status take_root(Server& server, const Fd& fields_file) {
    std::string fields;
    TRY(read_fields(fields_file, fields));
    TRY_ASSIGN(const auto asked, process::decode_plain(fields, 1));
    if (std::exchange(server.sealed, true)) {
        return fail(Code::conflict, "the roots are settled");
    }
    if (!asked.texts[0].empty()) {
        TRY_ASSIGN(server.roots.worktrees,
                   process::adopt_root(asked.texts[0], server.uid, server.gid));
        server.roots.worktrees_path = asked.texts[0];
    }
    return {};
}

void answer_root(Server& server, process::Received& received) {
    Request request;
    request.reply = std::move(received.fds[0]);
    send_reply(request, done(take_root(server, received.fds[1])));
}

// In a process of its own. Never returns.
[[noreturn]] void handle(const Server& server, process::Received& received, pid_t helper) {
    ::close(control);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != helper || received.fds.size() < 2 || received.bytes.size() != 1) {
        ::_exit(1);
    }
    Request request;
    request.verb = static_cast<Verb>(received.bytes[0]);
    request.reply = std::move(received.fds[0]);
    for (std::size_t i = 2; i < received.fds.size(); ++i) {
        request.fds.push_back(std::move(received.fds[i]));
    }
    const Status read = read_fields(received.fds[1], request.fields);
    received.fds.clear();
    send_reply(request, read ? serve(server, request) : tl::unexpected(read.error()));
    ::_exit(0);
}

// Until the daemon has closed its end.
int serve_all(Server& server, Fd life) {
    const pid_t self = ::getpid();
    while (true) {
        auto received = process::receive_fds(control, 16);
        if (!received && received.error().code == Code::invalid) {
            continue;    // too large; its descriptors are closed, so the sender sees the end
        }
        if (!received || received->bytes.empty()) {
            return 0;
        }
        if (received->bytes[0] == static_cast<char>(Verb::root) && received->fds.size() == 2) {
            answer_root(server, *received);
            continue;
        }
        if (::fork() == 0) {
            life.reset();
            handle(server, *received, self);
        }
    }
}

template <class Number>
bool parse(const char* text, Number& value) {
    const std::string_view view(text);
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
    return error == std::errc{} && end == view.data() + view.size();
}

int refuse(const char* why) {
    std::fprintf(stderr, "seatrial-helper: %s\n", why);
    return 2;
}

int start(int argc, char** argv) {
    Server server;
    if (argc != 6 || !parse(argv[3], server.uid) || !parse(argv[4], server.gid)) {
        return refuse("is started by seatrial, not by hand");
    }
    server.root = ::geteuid() == 0;
    if (server.root && (server.uid == 0 || server.gid == 0)) {
        return refuse("will not serve root");
    }
    server.instance = argv[2];
    server.roots.data_path = argv[1];
    server.roots.data = Fd(::open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC));
    int life[2];
    if (!server.roots.data || ::fcntl(control, F_SETFD, FD_CLOEXEC) != 0 ||
        ::pipe2(life, O_CLOEXEC) != 0) {
        return refuse("cannot open the data folder or the control socket");
    }
    server.life = Fd(life[0]);
    failpoints_active();    // reads its variables
    server.private_tmp = server.root && process::can_have_private_tmp();
    ::clearenv();
    ::setsid();
    ::umask(022);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    // Reaped by the kernel; terminals and service managers end us through the daemon only.
    for (const int ignored : {SIGCHLD, SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
        ::signal(ignored, SIG_IGN);
    }
    const auto mounts = read_file("/proc/self/mountinfo", 8 << 20);
    server.cgroups =
        process::open_cgroups(process::find_cgroup_mounts(mounts ? *mounts : ""), argv[5]);
    const int code = serve_all(server, Fd(life[1]));
    process::close_cgroups(server.cgroups);
    return code;
}

}    // namespace

Status check_name(const Server& server, const std::string& name) {
    if (!is_our_name(server.instance, name)) {
        return fail(Code::refused, "'" + name + "' does not carry the mark of this instance");
    }
    return {};
}

void send_reply(Request& request, const Result<std::string>& reply) {
    // A daemon that has gone or no longer waits is no fault of ours.
    [[maybe_unused]] const auto sent =
        process::send_fds(request.reply.get(), process::encode_reply(reply), {},
                          Context().with_timeout(std::chrono::seconds(5)));
    request.reply.reset();
}

}    // namespace seatrial::helper

int main(int argc, char** argv) {
    ::_exit(seatrial::helper::start(argc, argv));
}
