#include "resource/sqlite_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/names.h"
#include "base/text.h"
#include "resource/postgres_mark.h"
#include "sql/sqlite.h"

namespace seatrial::resource {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view endings[] = {"", "-wal", "-shm", "-journal", ".part", ".part-journal"};
constexpr std::size_t mark_limit = 4096;

fs::path database_of(const fs::path& home, const std::string& name) {
    return home / "data" / (name + ".sqlite");
}

fs::path mark_of(const fs::path& home, const std::string& name) {
    return home / (name + ".sqlite.json");
}

// What cannot be looked at (the folder is the app's) counts as there.
bool may_exist(const fs::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool any_file(const fs::path& home, const std::string& name) {
    const std::string base = database_of(home, name);
    for (const std::string_view ending : endings) {
        if (may_exist(base + std::string(ending))) {
            return true;
        }
    }
    return false;
}

bool is_below(const fs::path& path, const fs::path& folder) {
    const auto relative = path.lexically_relative(folder);
    return !relative.empty() && *relative.begin() != ".." && relative != ".";
}

Result<sql::Sqlite> open_template(const fs::path& path, bool quiet) {
    // Nobody writes a file of the tree before the preview runs, and a clean tree must stay clean.
    if (quiet && !fs::exists(path.string() + "-wal")) {
        return sql::Sqlite::open_immutable(path);
    }
    return sql::Sqlite::open(path, /*read_only=*/true);
}

// Ours or invalid: what a template cannot be is the configuration's fault.
tl::unexpected<Error> template_fault(Error error, const fs::path& path) {
    if (error.code == Code::not_found) {
        error.code = Code::invalid;
    }
    return wrap(std::move(error), "template " + printable(path.string()));
}

Status make_empty(const fs::path& file) {
    const Fd fd(::creat(file.c_str(), 0600));    // an empty file is an empty database
    return fd ? Status() : Status(fail_errno("create " + file.string(), errno));
}

}    // namespace

SqliteFile::SqliteFile(std::string instance, fs::path data, OwnTree own, RemoveTree remove,
                       const fs::path& previews)
    : instance_(std::move(instance)),
      data_(std::move(data)),
      previews_(previews.empty() ? data_ / "previews" : previews),
      own_(std::move(own)),
      remove_(std::move(remove)) {}

plan::Traits SqliteFile::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::keep;
    traits.pool = "clone";
    traits.rank = 60;    // before the worktree's folder, in which it lies
    traits.lane = "files";
    traits.title = "database file";
    return traits;
}

Status SqliteFile::own(const fs::path& tree, int uid_slot, const Context& ctx) const {
    return own_ ? own_(tree, uid_slot, ctx) : Status();
}

Status SqliteFile::remove(const fs::path& tree, const Context& ctx) const {
    if (remove_) {
        return remove_(tree, ctx);
    }
    if (::unlink(tree.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("remove " + tree.string(), errno);
    }
    return {};
}

// Folders of previews that have the database `name`, or part of it.
Result<std::vector<fs::path>> SqliteFile::homes(const std::string& name) const {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator at(previews_, error), end; !error && at != end;
         at.increment(error)) {
        const fs::path mark = mark_of(at->path(), name);
        if (may_exist(mark) || may_exist(mark.string() + ".tmp") || any_file(at->path(), name)) {
            found.push_back(at->path());
        }
    }
    if (error && error.value() != ENOENT) {
        return fail_errno("list " + previews_.string(), error.value());
    }
    return found;
}

Result<std::vector<std::string>> SqliteFile::list(const std::string& /*place*/,
                                                  const Context& ctx) {
    std::vector<std::string> names;
    const auto collect = [&](const fs::path& folder, std::string_view ending) -> Status {
        std::error_code error;
        for (fs::directory_iterator at(folder, error), end; !error && at != end;
             at.increment(error)) {
            const std::string file = at->path().filename();
            const std::size_t cut = file.find(ending);
            if (cut != std::string::npos && is_our_name(instance_, file.substr(0, cut))) {
                names.push_back(file.substr(0, cut));
            }
        }
        const bool gone = error.value() == ENOENT || error.value() == ENOTDIR;
        // A folder that the app has closed: the mark beside it tells.
        return error && !gone && error.value() != EACCES
                   ? Status(fail_errno("list " + folder.string(), error.value()))
                   : Status();
    };
    std::error_code error;
    for (fs::directory_iterator at(previews_, error), end; !error && at != end;
         at.increment(error)) {
        TRY(ctx.ok());
        TRY(collect(at->path(), ".sqlite.json"));
        TRY(collect(at->path() / "data", ".sqlite"));
    }
    if (error && error.value() != ENOENT) {
        return fail_errno("list " + previews_.string(), error.value());
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

Result<plan::Observation> SqliteFile::look(const fs::path& home, const std::string& name) {
    plan::Observation seen;
    const auto text = read_file(mark_of(home, name), mark_limit);
    if (!text && text.error().code != Code::not_found) {
        return tl::unexpected(text.error());
    }
    const bool there = may_exist(database_of(home, name));
    if (!text) {
        seen.presence = any_file(home, name) ? plan::Presence::partial : plan::Presence::absent;
        return seen;
    }
    const auto mark = parse_mark(*text);
    if (!mark || mark->instance != instance_) {
        seen.presence = plan::Presence::foreign;
        seen.detail = "a database file of this name that is not ours";
        return seen;
    }
    // Without a hash it is only the announcement that something will be made.
    const bool whole = there && !mark->spec.empty();
    seen.presence = whole ? plan::Presence::ready : plan::Presence::partial;
    seen.spec_hash = whole ? mark->spec : "";
    return seen;
}

Result<plan::Observation> SqliteFile::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    TRY(check_name(instance_, ref));
    TRY_ASSIGN(const auto found, homes(ref.name));
    return found.empty() ? plan::Observation() : look(found.front(), ref.name);
}

Status SqliteFile::check_template(const fs::path& path) const {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error) {
        return fail(Code::invalid, "template " + printable(path.string()) + ": " + error.message());
    }
    if (!fs::is_regular_file(real, error)) {
        return fail(Code::invalid, "template " + printable(path.string()) + " is no file");
    }
    const fs::path previews = fs::weakly_canonical(previews_, error);
    const fs::path asked = path.lexically_normal();
    const bool in_tree = is_below(asked, previews_) || is_below(asked, previews);
    if (in_tree) {
        const fs::path& root = is_below(asked, previews_) ? previews_ : previews;
        if (real != previews / asked.lexically_relative(root)) {
            return fail(Code::invalid,
                        "template " + printable(path.string()) + " is reached through a link",
                        "put the file itself into the repository");
        }
        return {};
    }
    if (is_below(real, fs::weakly_canonical(data_, error))) {
        return fail(Code::invalid,
                    "template " + printable(path.string()) + " lies among Seatrial's own files");
    }
    return {};
}

Status SqliteFile::create(const plan::Ref& ref, const nlohmann::json& spec,
                          const plan::Progress& /*progress*/, const Context& ctx) {
    TRY(ctx.ok());
    TRY(check_name(instance_, ref));
    const fs::path file = fs::path(spec.value("file", "")).lexically_normal();
    const fs::path home = file.parent_path().parent_path();
    if (file != database_of(home, ref.name) || home.parent_path() != previews_) {
        return fail(Code::internal, "a database file must lie in data/ of its preview");
    }
    if (!may_exist(home)) {
        return fail(Code::unavailable, "the preview's folder is not there");
    }
    TRY_ASSIGN(const auto seen, look(home, ref.name));
    if (seen.presence == plan::Presence::foreign) {
        return fail(Code::conflict, ref.name + ": " + seen.detail);
    }
    if (seen.presence == plan::Presence::ready) {
        return {};
    }
    const fs::path from = spec.value("template", "");
    if (!from.empty()) {
        TRY(check_template(from));
    }
    TRY(failpoint("sqlite-file.create", "before"));
    TRY(write_file_atomic(mark_of(home, ref.name), render_mark({instance_, "", "", ""}), 0600));
    TRY(failpoint("sqlite-file.create", "announced"));
    if (::mkdir((home / "data").c_str(), 0711) != 0 && errno != EEXIST) {
        return fail_errno("make " + (home / "data").string(), errno);
    }
    TRY(own(home / "data", -1, ctx));
    for (const std::string_view ending : endings) {
        TRY(remove(file.string() + std::string(ending), ctx));
    }
    if (from.empty()) {
        TRY(make_empty(file));
    } else {
        auto source = open_template(from, is_below(from, previews_));
        if (!source) {
            return template_fault(source.error(), from);
        }
        TRY(source->backup_to(file, ctx));
    }
    TRY(failpoint("sqlite-file.create", "copied"));
    if (::chmod(file.c_str(), 0600) != 0) {
        return fail_errno("chmod " + file.string(), errno);
    }
    TRY(own(home / "data", spec.value("uid_slot", -1), ctx));
    TRY(failpoint("sqlite-file.create", "owned"));
    const Mark mark{instance_, plan::spec_hash(spec), "", ""};
    TRY(write_file_atomic(mark_of(home, ref.name), render_mark(mark), 0600));
    return failpoint("sqlite-file.create", "after");
}

Result<plan::Removal> SqliteFile::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    TRY(check_name(instance_, ref));
    TRY_ASSIGN(const auto found, homes(ref.name));
    plan::Removal removal;
    removal.note = found.empty() ? "was not there" : "removed";
    for (const fs::path& home : found) {
        TRY_ASSIGN(const auto seen, look(home, ref.name));
        if (seen.presence == plan::Presence::foreign) {
            return fail(Code::conflict, ref.name + ": " + seen.detail + ": left alone");
        }
        TRY(failpoint("sqlite-file.destroy", "before"));
        for (const std::string_view ending : endings) {
            TRY(remove(database_of(home, ref.name).string() + std::string(ending), ctx));
        }
        TRY(failpoint("sqlite-file.destroy", "removed"));
        ::rmdir((home / "data").c_str());    // stays when the app has put more there
        TRY(remove(mark_of(home, ref.name).string() + ".tmp", ctx));
        TRY(remove(mark_of(home, ref.name), ctx));
        TRY(failpoint("sqlite-file.destroy", "after"));
    }
    return removal;
}

}    // namespace seatrial::resource
