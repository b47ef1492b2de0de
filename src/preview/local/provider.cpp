#include "preview/local/provider.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/mirror.h"
#include "preview/local/plan.h"
#include "resource/run_spec.h"

namespace seatrial::preview::local {
namespace {

// What an installed tree depends on besides its files: architecture, system and the exact
// interpreter, told by the program file instead of starting it.
std::string platform() {
    utsname machine{};
    ::uname(&machine);
    std::string text = machine.machine;
    text += '\n' + read_file("/etc/os-release", 64 << 10).value_or("");
    const char* path = std::getenv("PATH");
    for (const char* program : {"node", "python3"}) {
        for (const auto folder :
             split(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
            const std::string file = std::string(folder) + "/" + program;
            struct stat info{};
            if (::stat(file.c_str(), &info) == 0) {
                text += "\n" + file + " " + std::to_string(info.st_size) + " " +
                        std::to_string(info.st_mtim.tv_sec);
                break;
            }
        }
    }
    return text;
}

}    // namespace

LocalProvider::LocalProvider(process::Runner& runner, Layout layout, std::string instance,
                             std::string boot_id)
    : runner_(runner),
      layout_(std::move(layout)),
      instance_(std::move(instance)),
      boot_id_(std::move(boot_id)) {}

nlohmann::json LocalProvider::isolation() const {
    const process::Isolation isolation = runner_.isolation();
    return {{"level", isolation.level},
            {"own_uid", isolation.own_uid},
            {"cgroup", isolation.cgroup},
            {"seccomp", isolation.seccomp},
            {"landlock_abi", isolation.landlock_abi},
            {"private_tmp", isolation.private_tmp},
            {"missing", isolation.missing}};
}

Status LocalProvider::check(const config::App& /*app*/) const {
    return {};
}

Status LocalProvider::find_facts(Spec& spec, const config::App& app, const Context& ctx) const {
    spec.dependency_tree.clear();
    spec.images.clear();
    if (!app.install) {
        return {};
    }
    const git::Mirror mirror(layout_.data / "mirrors" / spec.mirror);
    auto digest = mirror.tree_digest(spec.commit, app.install->key, ctx);
    if (!digest) {
        return tl::unexpected(std::move(digest).error());
    }
    std::string identity = spec.app + "\n" + *digest + "\n" + platform();
    for (const auto& word : app.install->run.to_argv()) {
        identity += "\n" + word;
    }
    for (const auto& path : app.install->keep) {
        identity += "\n" + path;
    }
    spec.dependency_tree = make_name(instance_, "deps-" + spec.app, crypto::sha256_hex(identity));
    return {};
}

plan::Graph LocalProvider::make_plan(const Spec& spec, const config::App& app,
                                     const World& world) const {
    return local::make_plan(spec, app, layout_, world);
}

Result<Running> LocalProvider::observe(const std::string& run, const Context& /*ctx*/) const {
    TRY_ASSIGN(const process::RunState state, runner_.observe(run));
    Running out;
    out.rebooted = !state.boot_id.empty() && state.boot_id != boot_id_;
    switch (state.phase) {
        case process::RunPhase::absent: out.phase = Running::Phase::absent; break;
        case process::RunPhase::starting: out.phase = Running::Phase::starting; break;
        case process::RunPhase::exited: out.phase = Running::Phase::exited; break;
        case process::RunPhase::running:
            out.phase = Running::Phase::running;
            out.pid = state.shim;
            if (const auto usage = runner_.usage(run)) {
                out.memory_bytes = usage->memory_bytes;
                out.cpu_ms = usage->cpu.count();
                out.processes = usage->processes;
            }
            return out;
    }
    out.how = resource::render_exit(state);
    return out;
}

void LocalProvider::begin(std::function<void(const std::string& life)> ended) {
    auto watcher = std::make_shared<Watcher>(std::move(ended));
    const std::lock_guard lock(mutex_);
    watcher_ = std::move(watcher);
}

void LocalProvider::end() {
    std::shared_ptr<Watcher> last;
    const std::lock_guard lock(mutex_);
    last.swap(watcher_);
}

Status LocalProvider::watch(const std::string& run, const std::string& life) {
    auto pidfd = runner_.watch(run);
    if (!pidfd) {
        return tl::unexpected(std::move(pidfd).error());
    }
    const std::lock_guard lock(mutex_);
    return watcher_ ? watcher_->watch(run, life, std::move(*pidfd)) : Status();
}

bool LocalProvider::watches(const std::string& run) const {
    const std::lock_guard lock(mutex_);
    return watcher_ && watcher_->watches(run);
}

void LocalProvider::forget(const std::string& run) {
    const std::lock_guard lock(mutex_);
    if (watcher_) {
        watcher_->forget(run);
    }
}

Status LocalProvider::kill(const std::string& run, const Context& ctx) {
    TRY(runner_.kill(run, {}, ctx));
    // Its shim, which cannot be found without its record, ends a moment after it.
    while (!runner_.forget(run, ctx)) {
        TRY(wait_for(std::chrono::milliseconds(20), ctx));
    }
    return {};
}

Status LocalProvider::copy_logs(const Spec& /*spec*/, const Context& /*ctx*/) {
    return {};
}

void LocalProvider::follow_logs(const Spec& /*spec*/, std::function<bool()> /*wanted*/) {}

}    // namespace seatrial::preview::local
