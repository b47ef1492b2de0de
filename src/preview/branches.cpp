#include "preview/branches.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "git/mirror.h"
#include "log/log.h"
#include "preview/facts.h"

namespace seatrial::preview {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds settle{300};    // git changes several files for one operation
constexpr milliseconds poll_interval{15 * 60'000};
constexpr milliseconds again{60'000};
constexpr milliseconds patience{2 * 60'000};

// A fast-forward leaves no trace but that the base now holds commits which it did not hold when
// the preview came up: the fork tells. That is asked of the commit that runs, too: a branch
// without own work that catches up with its base looks just the same.
Result<bool> merged_into(const git::Mirror& mirror, const Spec& spec, const std::string& tip,
                         const std::string& base, const Context& ctx) {
    TRY_ASSIGN(const bool traces, mirror.is_merged(tip, base, "", ctx));
    if (traces || spec.fork.empty()) {
        return traces;
    }
    TRY_ASSIGN(const bool running, mirror.is_merged(spec.commit, base, spec.fork, ctx));
    return running ? mirror.is_merged(tip, base, spec.fork, ctx) : false;
}

}    // namespace

BranchWatch::BranchWatch(Parts parts, Manager& manager)
    : parts_(std::move(parts)),
      manager_(manager),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

BranchWatch::~BranchWatch() {
    stopping_.cancel();
    if (thread_.joinable()) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
        thread_.join();
    }
}

void BranchWatch::refresh() {
    const auto lives = parts_.records.lives({});
    if (!lives || stopping_.context().cancelled()) {
        return;
    }
    std::set<std::string> sources;
    std::set<std::string> followed;
    for (const auto& life : *lives) {
        const auto spec = parse_spec(life.spec);
        if (!life.wanted || !spec || spec->branch.empty()) {
            continue;
        }
        watch(*spec);
        sources.insert(source_of(*spec));
        followed.insert(life.id);
        const std::lock_guard lock(mutex_);
        if (!followed_.contains(life.id)) {
            // What happened before the watch stood is asked for once.
            check_soon(source_of(*spec));
        }
    }
    {
        const std::lock_guard lock(mutex_);
        followed_.swap(followed);
        std::erase_if(problems_,
                      [this](const auto& problem) { return !followed_.contains(problem.first); });
    }
    if (sources.empty()) {
        parts_.timers.clear("branches");
        return;
    }
    parts_.timers.set("branches", poll_interval, [this, sources] {
        for (const auto& source : sources) {
            parts_.subjects.submit({[this, source] { check_source(source); }, "", "b:" + source});
        }
        refresh();
    });
}

// The folders in which a change of the branch or of packed-refs shows. One that cannot be read
// (a home that the daemon may not enter) is asked by the timer, in vain: the TTL remains.
void BranchWatch::watch(const Spec& spec) {
    if (spec.repository.empty() || !inotify_) {
        return;
    }
    const std::filesystem::path common = spec.repository;
    std::vector<std::filesystem::path> folders = {common, common / "refs/heads",
                                                  (common / spec.branch).parent_path()};
    const std::lock_guard lock(mutex_);
    for (const auto& folder : folders) {
        const int watch = ::inotify_add_watch(
            inotify_.get(), folder.c_str(),
            IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ONLYDIR);
        if (watch < 0) {
            log::debug("a repository cannot be watched", {{"folder", folder.string()}});
            continue;
        }
        watches_[watch] = spec.repository;
    }
    if (!thread_.joinable() && !watches_.empty()) {
        thread_ = std::thread([this] { work(); });
    }
}

void BranchWatch::work() {
    while (true) {
        std::array<pollfd, 2> fds = {{{inotify_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
            return;
        }
        if (fds[1].revents != 0) {
            return;
        }
        alignas(inotify_event) std::array<char, 8192> buffer{};
        const ssize_t n = ::read(inotify_.get(), buffer.data(), buffer.size());
        std::set<std::string> changed;
        {
            const std::lock_guard lock(mutex_);
            for (ssize_t at = 0; at < n;) {
                inotify_event event{};
                std::copy_n(buffer.data() + at, sizeof event, reinterpret_cast<char*>(&event));
                const std::string_view name =
                    event.len > 0 ? std::string_view(buffer.data() + at + sizeof event) : "";
                at += static_cast<ssize_t>(sizeof event + event.len);
                // Locks, the index and HEAD of somebody at work say nothing about branches.
                const auto found = watches_.find(event.wd);
                if (found != watches_.end() && !name.ends_with(".lock") && name != "index" &&
                    name != "HEAD" && name != "ORIG_HEAD" && name != "COMMIT_EDITMSG") {
                    changed.insert(found->second);
                }
            }
        }
        for (const auto& source : changed) {
            check_soon(source);
        }
    }
}

void BranchWatch::check_soon(const std::string& source) {
    parts_.timers.set("branches:" + source, settle, [this, source] {
        parts_.subjects.submit({[this, source] { check_source(source); }, "", "b:" + source});
    });
}

void BranchWatch::check_source(const std::string& source) {
    const auto lives = parts_.records.lives({});
    if (!lives) {
        return;
    }
    const Context ctx = stopping_.context().with_timeout(patience);
    Answers answers;
    for (const auto& life : *lives) {
        const auto spec = parse_spec(life.spec);
        if (life.wanted && spec && !spec->branch.empty() && source_of(*spec) == source) {
            check_life(life, *spec, answers, ctx);
        }
    }
}

// What a person has just brought up has not moved since: most looks need no fetch.
const Result<std::string>& BranchWatch::tip_of(const Spec& spec, const std::string& branch,
                                               Answers& answers, const Context& ctx) const {
    const auto found = answers.tips.find(branch);
    if (found != answers.tips.end()) {
        return found->second;
    }
    const git::Mirror mirror = mirror_of(parts_, spec);
    const std::string known =
        spec.repository.empty() ? "" : mirror.known_tip(spec.repository, branch, ctx);
    return answers.tips
        .emplace(branch, known.empty() ? mirror.fetch(source_of(spec), branch, ctx)
                                       : Result<std::string>(known))
        .first->second;
}

void BranchWatch::check_life(const store::Life& life, const Spec& spec, Answers& answers,
                             const Context& ctx) {
    const auto end = [&](const char* reason) {
        log::info("a branch has ended", {{"life", life.id}, {"reason", reason}});
        if (const auto stopped = manager_.stop(life, "branches", reason); !stopped) {
            log::warn("a preview could not be ended", stopped.error(), {{"life", life.id}});
        }
    };
    const auto& tip = tip_of(spec, spec.branch, answers, ctx);
    if (!tip) {
        // not_found is an answer: the repository was read and has no such branch.
        if (tip.error().code == Code::not_found && tip.error().mark == "branch") {
            return end("branch deleted");
        }
        if (!ctx.cancelled()) {
            log::info("a branch could not be asked for",
                      {{"life", life.id}, {"error", render_error(tip.error())}});
            {
                const std::lock_guard lock(mutex_);
                problems_[life.id] = render_error(tip.error());
            }
            // A folder that was away has no watch: nobody tells when it is back.
            parts_.timers.set("branches again", again, [this, source = source_of(spec)] {
                parts_.subjects.submit({[this, source] {
                                            refresh();
                                            check_source(source);
                                        },
                                        "", "b:" + source});
            });
        }
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        problems_.erase(life.id);
    }
    const auto merged = is_merged(spec, *tip, answers, ctx);
    if (merged && *merged) {
        end("merged");
    }
}

Result<bool> BranchWatch::is_merged(const Spec& spec, const std::string& tip, Answers& answers,
                                    const Context& ctx) const {
    if (spec.base_branch.empty() || spec.base_branch == spec.branch) {
        return false;
    }
    TRY_ASSIGN(const std::string base, tip_of(spec, spec.base_branch, answers, ctx));
    const std::string question = tip + base + spec.fork + " " + spec.commit;
    const auto found = answers.merged.find(question);
    if (found != answers.merged.end()) {
        return found->second;
    }
    return answers.merged
        .emplace(question, merged_into(mirror_of(parts_, spec), spec, tip, base, ctx))
        .first->second;
}

std::string BranchWatch::problem(const std::string& life) const {
    const std::lock_guard lock(mutex_);
    const auto found = problems_.find(life);
    return found == problems_.end() ? "" : found->second;
}

}    // namespace seatrial::preview
