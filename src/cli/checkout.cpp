#include "cli/checkout.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "config/config.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds daemon_start{30};

// git writes the bundle into a pipe while the request reads it.
Status send_bundle(DaemonClient& daemon, const Checkout& checkout, const json& answer,
                   const Context& ctx) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail_errno("pipe", errno);
    }
    const Fd read_end(ends[0]);
    Status written;
    std::thread writer([&, write_end = Fd(ends[1])]() mutable {
        written = git::write_bundle(checkout.repository, checkout.commit,
                                    answer.value("known", std::vector<std::string>{}),
                                    write_end.get(), ctx);
        write_end.reset();
    });
    auto sent = daemon.upload(
        "/api/v1/repositories/" + answer.value("mirror", "") + "/bundle?commit=" + checkout.commit,
        read_end.get(), ctx);
    writer.join();
    TRY(written);
    return sent;
}

}    // namespace

Result<Checkout> find_checkout(const std::string& wanted, const Context& ctx) {
    Checkout out;
    TRY_ASSIGN(out.repository, git::find_repository(std::filesystem::current_path(), ctx));
    out.ref = wanted.empty() ? out.repository.branch : wanted;
    if (out.ref.empty()) {
        return fail(Code::invalid, "HEAD is detached: no branch to take",
                    "check out a branch, or name one with --branch");
    }
    TRY_ASSIGN(out.commit, git::resolve(out.repository, out.ref, ctx));
    out.branch = out.ref == out.commit ? "" : out.ref;
    auto text = git::read_blob(out.repository, out.commit, std::string(app_file), ctx);
    if (text) {
        out.text = std::move(*text);
    } else if (text.error().code != Code::not_found) {
        return tl::unexpected(std::move(text).error());
    } else if (::access((out.repository.root / app_file).c_str(), F_OK) == 0) {
        return fail(Code::invalid,
                    "seatrial.yaml is in your folder but not in commit " + out.commit.substr(0, 12),
                    "commit it: what is committed runs");
    }
    return out;
}

Result<json> post_with_commit(DaemonClient& daemon, const Globals& globals,
                              const Checkout& checkout, const std::string& path, const json& body,
                              bool may_start, const Context& ctx) {
    auto answer = daemon.call("POST", path, body, ctx);
    if (!answer && answer.error().mark == "server" && may_start) {
        const bool own_file = globals.config.empty();
        TRY(start_daemon(globals, own_file ? checkout.text : "", std::string(app_file),
                         ctx.with_timeout(daemon_start)));
        answer = daemon.call("POST", path, body, ctx);
    }
    if (answer && answer->value("code", "") == "commit_missing") {
        TRY(send_bundle(daemon, checkout, *answer, ctx));
        answer = daemon.call("POST", path, body, ctx);
    }
    return answer;
}

}    // namespace seatrial::cli
