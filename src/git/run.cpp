#include "git/run.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"

namespace seatrial::git {
namespace {

// Key and value; the reasons stand in run.h. `ext` and unknown transports stay forbidden.
constexpr std::array<std::pair<const char*, const char*>, 22> precautions{{
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.attributesFile", "/dev/null"},
    {"core.excludesFile", "/dev/null"},
    {"core.pager", "cat"},
    {"core.editor", "false"},
    {"core.askPass", ""},
    {"credential.helper", ""},
    {"protocol.allow", "never"},
    {"protocol.https.allow", "always"},
    {"protocol.ssh.allow", "always"},
    {"protocol.file.allow", "always"},
    {"submodule.recurse", "false"},
    {"fetch.recurseSubmodules", "false"},
    {"filter.lfs.smudge", ""},
    {"filter.lfs.clean", ""},
    {"filter.lfs.process", ""},
    {"filter.lfs.required", "false"},
    {"gc.auto", "0"},
    {"maintenance.auto", "false"},
    {"advice.detachedHead", "false"},
    {"commit.gpgSign", "false"},
}};

struct Known {
    std::string_view said;
    Code code;
    std::string_view hint;
};
// What git says and what it means for a retry; the first that fits counts.
constexpr std::array<Known, 16> known_faults{{
    {"dubious ownership", Code::refused,
     "the repository belongs to another user: git config --global --add safe.directory PATH"},
    {"not a git repository", Code::not_found, "run it inside a git repository"},
    {"must be run in a work tree", Code::invalid, "a bare repository has no work tree"},
    {"couldn't find remote ref", Code::not_found, "push the branch first"},
    {"transport '", Code::refused, "only https, ssh and local repositories are fetched"},
    {"Authentication failed", Code::failed, "give the server access to the repository"},
    {"could not read Username", Code::failed, "give the server access to the repository"},
    {"Permission denied (publickey", Code::failed, "give the server access to the repository"},
    {"does not appear to be a git repository", Code::failed, "check the remote's URL"},
    {"epository not found", Code::failed, "check the remote's URL and the access rights"},
    {"No space left on device", Code::unavailable, "free some disk space"},
    {"the disk is full", Code::unavailable, "free some disk space"},        // resource/ log_tail
    {"unable to write file", Code::unavailable, "free some disk space"},    // git tells no cause
    {"unable to access '", Code::unavailable, ""},
    {"Could not read from remote repository", Code::unavailable, ""},
    {".lock': File exists", Code::unavailable, ""},
}};

// The last lines of what git wrote, without its own hints.
std::string last_lines(const std::string& text) {
    std::vector<std::string> kept;
    for (const auto line : split(text, '\n')) {
        const auto words = trim(line);
        if (!words.empty() && !words.starts_with("hint:")) {
            kept.emplace_back(words.substr(0, 500));
        }
    }
    if (kept.size() > 3) {
        kept.erase(kept.begin(), kept.end() - 3);
    }
    return printable(join(kept, "; "));
}

}    // namespace

std::vector<std::string> config_env(const Config& more) {
    std::vector<std::string> env;
    std::size_t count = 0;
    const auto add = [&](const std::string& key, const std::string& value) {
        env.push_back("GIT_CONFIG_KEY_" + std::to_string(count) + "=" + key);
        env.push_back("GIT_CONFIG_VALUE_" + std::to_string(count) + "=" + value);
        ++count;
    };
    for (const auto& [key, value] : precautions) {
        add(key, value);
    }
    for (const auto& [key, value] : more) {
        add(key, value);
    }
    env.push_back("GIT_CONFIG_COUNT=" + std::to_string(count));
    // Messages are read by git_error(); replaced objects would show other content than the id.
    env.insert(env.end(), {"LC_ALL=C.UTF-8", "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1"});
    return env;
}

std::vector<std::string> closed_env() {
    return {"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
            "GIT_DEFAULT_HASH=sha1", "GIT_DEFAULT_REF_FORMAT=files", "GIT_ASKPASS=", "SSH_ASKPASS=",
            // git itself hands this constant to a shell; nothing from outside is in it.
            "GIT_SSH_COMMAND=ssh -oBatchMode=yes", "GIT_SSH_VARIANT=ssh"};
}

Result<Fd> text_fd(std::string_view text) {
    Fd fd(::memfd_create("git-input", MFD_CLOEXEC));
    if (!fd) {
        return fail_errno("memfd_create", errno);
    }
    while (!text.empty()) {
        const ssize_t n = ::write(fd.get(), text.data(), text.size());
        if (n < 0) {
            return fail_errno("cannot prepare the input of git", errno);
        }
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

Result<process::Output> run_git(Call call, const Context& ctx) {
    Fd input;
    if (call.input_fd < 0 && !call.input.empty()) {
        TRY_ASSIGN(input, text_fd(call.input));
        call.input_fd = input.get();
    }
    process::Command command;
    command.argv.reserve(call.args.size() + 1);
    command.argv.emplace_back("git");
    for (auto& arg : call.args) {
        command.argv.push_back(std::move(arg));
    }
    command.env = std::move(call.env);
    command.cwd = std::move(call.cwd);
    command.stdin_fd = call.input_fd;
    command.stdout_fd = call.output_fd;
    command.output_limit = call.output_limit;
    TRY_ASSIGN(process::Output output, process::run_command(command, ctx));
    if (output.out.size() >= call.output_limit) {
        return fail(Code::invalid, "git " + command.argv[1] + " gave more than " +
                                       std::to_string(call.output_limit) + " bytes");
    }
    return output;
}

Error git_error(const std::string& what, const process::Output& output) {
    Error error{Code::failed, what, {}, {}, nullptr};
    const std::string said = last_lines(output.err);
    if (!said.empty()) {
        error.message += ": " + said;
    } else {
        error.message += ": git ended with exit code " + std::to_string(output.exit_code);
    }
    if (output.exit_code > 128 && output.exit_code < 128 + 65 && said.empty()) {
        error.code = Code::unavailable;    // killed from outside: not the repository's fault
    }
    for (const auto& fault : known_faults) {
        if (output.err.find(fault.said) != std::string::npos) {
            error.code = fault.code;
            error.hint = fault.hint;
            break;
        }
    }
    return error;
}

Result<std::string> run_git_checked(Call call, const std::string& what, const Context& ctx) {
    TRY_ASSIGN(process::Output output, run_git(std::move(call), ctx));
    if (output.exit_code != 0) {
        return tl::unexpected(git_error(what, output));
    }
    return std::move(output.out);
}

}    // namespace seatrial::git
