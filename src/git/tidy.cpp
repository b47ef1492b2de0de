// Upkeep of a mirror.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "git/mirror.h"
#include "git/ref_files.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

using std::chrono::hours;

constexpr std::size_t arrivals_kept = 8;    // tips for the next bundle to build on
constexpr auto arrival_grace = hours(1);    // between arrival and keep_ref
constexpr auto fetched_kept = hours(24 * 30);
constexpr auto leftover_grace = hours(1);    // a full disk leaves large ones
constexpr std::size_t packs_before_joining = 20;
constexpr auto full_upkeep_every = hours(24 * 7);
constexpr const char* unreachable_kept = "30.days.ago";
constexpr const char* upkeep_stamp = "seatrial-upkeep";

// Since the file was last written; nothing when it is not there.
std::optional<std::chrono::nanoseconds> age_of(const std::filesystem::path& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
        return std::nullopt;
    }
    const auto written = std::chrono::seconds(info.st_mtim.tv_sec);
    return now_utc().time_since_epoch() - written;
}

std::size_t count_packs(const std::filesystem::path& mirror) {
    std::size_t packs = 0;
    std::error_code error;
    for (std::filesystem::directory_iterator at(mirror / "objects/pack", error), end;
         !error && at != end; at.increment(error)) {
        packs += at->path().extension() == ".pack" ? 1 : 0;
    }
    return packs;
}

// What killed processes left; a live one writes to its own all the time.
void drop_leftovers(const std::filesystem::path& folder, std::string_view prefix) {
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        const auto age = age_of(at->path());
        if (at->path().filename().string().starts_with(prefix) && age && *age > leftover_grace) {
            std::error_code ignored;    // comes round again
            std::filesystem::remove_all(at->path(), ignored);
        }
    }
}

}    // namespace

Status Mirror::drop_old_arrivals(const Context& ctx) const {
    struct Arrival {
        std::chrono::nanoseconds age;
        std::string ref;
    };
    std::vector<Arrival> old;
    const auto collect = [&](const std::string& space, std::chrono::nanoseconds limit,
                             std::size_t kept) -> Status {
        TRY_ASSIGN(const auto refs, refs_below(folder_, space));
        std::vector<Arrival> arrivals;
        for (const auto& [name, commit] : refs) {
            // Without a file of its own it was packed by somebody: old enough.
            arrivals.push_back(
                {age_of(folder_ / (space + name)).value_or(hours(24 * 365)), space + name});
        }
        std::sort(arrivals.begin(), arrivals.end(),
                  [](const Arrival& a, const Arrival& b) { return a.age < b.age; });
        for (std::size_t i = kept; i < arrivals.size(); ++i) {
            if (arrivals[i].age > limit) {
                old.push_back(arrivals[i]);
            }
        }
        return {};
    };
    TRY(collect("refs/st/in/", arrival_grace, arrivals_kept));
    TRY(collect("refs/st/fetch/", fetched_kept, 0));
    for (const auto& arrival : old) {
        TRY(drop_ref(arrival.ref, ctx));
    }
    return {};
}

Status Mirror::drop_ref(const std::string& ref, const Context& ctx) const {
    Call drop = call();
    drop.args = {"update-ref", "--no-deref", "-d", ref};
    return change_ref(std::move(drop), ref, "cannot delete " + ref, ctx);
}

Result<std::vector<std::string>> Mirror::drop_old_salvage(std::chrono::milliseconds kept,
                                                          const Context& ctx) const {
    const std::string space = "refs/st/salvage/";
    TRY_ASSIGN(const auto refs, refs_below(folder_, space));
    std::vector<std::string> dropped;
    for (const auto& [name, commit] : refs) {
        // One without a file of its own was packed by somebody; when is not known: it stays.
        const auto age = age_of(folder_ / (space + name));
        if (age && *age > kept) {
            TRY(drop_ref(space + name, ctx));
            dropped.push_back(name);
        }
    }
    return dropped;
}

Result<std::vector<std::string>> Mirror::tidy(std::chrono::milliseconds salvage_kept,
                                              const Context& ctx) const {
    if (count_packs(folder_) == 0 && !age_of(folder_ / "refs/st")) {
        return std::vector<std::string>{};
    }
    TRY(drop_old_arrivals(ctx));
    TRY_ASSIGN(auto dropped, drop_old_salvage(salvage_kept, ctx));
    drop_leftovers(folder_ / "objects/pack", "tmp_");    // half packs
    drop_leftovers(folder_, archive_scratch);
    TRY(repack(ctx));
    return dropped;
}

Status Mirror::repack(const Context& ctx) const {
    const auto last = age_of(folder_ / upkeep_stamp);
    if (!last) {
        return write_file_atomic(folder_ / upkeep_stamp, "");
    }
    if (*last > full_upkeep_every) {
        // Alone: nothing may begin to need an object that is on its way out.
        TRY_ASSIGN(const Fd held, lock(true, ctx));
        Call repack = call();
        repack.args = {"repack", "-q", "-A",
                       "-d",     "-l", std::string("--unpack-unreachable=") + unreachable_kept};
        TRY(run_git_checked(std::move(repack), "cannot repack the mirror", ctx));
        Call prune = call();
        prune.args = {"prune", std::string("--expire=") + unreachable_kept};
        TRY(run_git_checked(std::move(prune), "cannot prune the mirror", ctx));
        return write_file_atomic(folder_ / upkeep_stamp, "");
    }
    if (count_packs(folder_) > packs_before_joining) {
        Call join = call();    // only joins packs, drops nothing: needs no lock
        join.args = {"repack", "-q", "-d", "-l", "--geometric=2"};
        TRY(run_git_checked(std::move(join), "cannot join the packs of the mirror", ctx));
    }
    return {};
}

}    // namespace seatrial::git
