#include "resource/mirror_ref.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "resource/folders.h"

namespace seatrial::resource {
namespace {

using nlohmann::json;

Status check_ours(const std::string& instance, const std::string& name) {
    if (is_our_name(instance, name)) {
        return {};
    }
    return fail(Code::invalid, "'" + printable(name) + "' is not a name of ours");
}

struct Wanted {
    std::filesystem::path mirror;
    std::string commit;
};

Result<Wanted> read_spec(const std::filesystem::path& data, const json& spec) {
    Wanted wanted;
    try {
        TRY_ASSIGN(wanted.mirror, mirror_folder(data, spec.at("mirror").get<std::string>()));
        wanted.commit = spec.at("commit").get<std::string>();
    } catch (const json::exception& error) {
        return fail(Code::internal, std::string("a git-ref spec is not whole: ") + error.what());
    }
    if (!git::is_commit_id(wanted.commit)) {
        return fail(Code::invalid, "'" + printable(wanted.commit) + "' is no commit id");
    }
    if (spec.size() != 2) {
        return fail(Code::internal, "a git-ref spec holds mirror and commit, nothing else");
    }
    return wanted;
}

}    // namespace

Result<std::vector<std::filesystem::path>> mirror_folders(const std::filesystem::path& data) {
    std::vector<std::filesystem::path> folders;
    const auto opened = open_folder(data / "mirrors");
    if (!opened) {
        return opened.error().code == Code::not_found
                   ? Result<std::vector<std::filesystem::path>>(folders)
                   : tl::unexpected(opened.error());
    }
    TRY_ASSIGN(const auto names, entries_of(*opened));
    for (const auto& name : names) {
        folders.push_back(data / "mirrors" / name);
    }
    return folders;
}

Result<std::filesystem::path> mirror_folder(const std::filesystem::path& data,
                                            const std::string& name) {
    constexpr std::string_view allowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (name.empty() || name.size() > 128 || name.front() == '.' || name.front() == '-' ||
        name.find_first_not_of(allowed) != std::string::npos) {
        return fail(Code::invalid, "'" + printable(name) + "' is no mirror");
    }
    return data / "mirrors" / name;
}

plan::Traits MirrorRef::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::in_place;
    traits.rank = 2;    // last of all that a life has: the worktree reads the commit
    traits.lane = "files";
    traits.title = "keep commit";
    return traits;
}

Result<std::vector<std::string>> MirrorRef::list(const std::string& /*place*/, const Context& ctx) {
    std::set<std::string> names;
    TRY_ASSIGN(const auto mirrors, mirror_folders(data_));
    for (const auto& mirror : mirrors) {
        TRY_ASSIGN(const auto kept, git::Mirror(mirror).list_refs(ctx));
        for (const auto& name : kept) {
            if (is_our_name(instance_, name)) {
                names.insert(name);
            }
        }
    }
    return std::vector<std::string>(names.begin(), names.end());
}

Result<plan::Observation> MirrorRef::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(check_ours(instance_, ref.name));
    TRY(ctx.ok());
    plan::Observation seen;
    TRY_ASSIGN(const auto mirrors, mirror_folders(data_));
    for (const auto& mirror : mirrors) {
        TRY_ASSIGN(const auto kept, git::Mirror(mirror).list_refs(ctx));
        if (std::find(kept.begin(), kept.end(), ref.name) == kept.end()) {
            continue;
        }
        TRY_ASSIGN(const std::string commit, git::Mirror(mirror).kept_commit(ref.name));
        // Torn by a power cut, or in two mirrors while it moves.
        const bool whole = !commit.empty() && seen.presence == plan::Presence::absent;
        seen.presence = whole ? plan::Presence::ready : plan::Presence::partial;
        seen.spec_hash =
            whole ? plan::spec_hash({{"mirror", mirror.filename().string()}, {"commit", commit}})
                  : "";
        seen.detail = commit;
    }
    return seen;
}

Status MirrorRef::create(const plan::Ref& ref, const json& spec, const plan::Progress& /*progress*/,
                         const Context& ctx) {
    TRY(check_ours(instance_, ref.name));
    TRY_ASSIGN(const Wanted wanted, read_spec(data_, spec));
    TRY_ASSIGN(const auto seen, observe(ref, ctx));
    if (seen.presence == plan::Presence::ready && seen.spec_hash == plan::spec_hash(spec)) {
        return {};
    }
    TRY(failpoint("git-ref.create", "before"));
    const git::Mirror mirror(wanted.mirror);
    TRY(mirror.keep_ref(ref.name, wanted.commit, ctx));
    TRY(failpoint("git-ref.create", "after"));
    // An app whose repository moved: the old mirror need not keep the old commit.
    TRY_ASSIGN(const auto mirrors, mirror_folders(data_));
    for (const auto& other : mirrors) {
        if (other != wanted.mirror) {
            TRY(git::Mirror(other).delete_ref(ref.name, ctx));
        }
    }
    return {};
}

Result<plan::Removal> MirrorRef::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY(check_ours(instance_, ref.name));
    TRY(ctx.ok());
    plan::Removal removal{"was not there", 0};
    TRY_ASSIGN(const auto mirrors, mirror_folders(data_));
    TRY(failpoint("git-ref.destroy", "before"));
    for (const auto& folder : mirrors) {
        const git::Mirror mirror(folder);
        TRY_ASSIGN(const auto kept, mirror.list_refs(ctx));
        if (std::find(kept.begin(), kept.end(), ref.name) != kept.end()) {
            removal.note = "ref deleted";
        }
        TRY(mirror.delete_ref(ref.name, ctx));
    }
    TRY(failpoint("git-ref.destroy", "after"));
    return removal;
}

}    // namespace seatrial::resource
