// Type "git-ref": refs/st/keep/<name> in a mirror, so that a life's commit stays whatever happens
// to the branch. Place "host".
// Spec (JSON): mirror (folder name below <data>/mirrors), commit (40 hex), nothing else: what
// observe() reports is made from the ref itself.
#pragma once

#include <filesystem>

#include "plan/resource.h"

namespace seatrial::resource {

inline constexpr std::string_view mirror_ref_type = "git-ref";

class MirrorRef : public plan::Type {
public:
    MirrorRef(std::filesystem::path data, std::string instance)
        : data_(std::move(data)), instance_(std::move(instance)) {}
    std::string_view name() const override { return mirror_ref_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // Without starting git.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `not_found` when the mirror lacks the commit.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // Looks into every mirror.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    std::filesystem::path data_;
    std::string instance_;
};

// The mirrors below <data>/mirrors, sorted; none without that folder.
Result<std::vector<std::filesystem::path>> mirror_folders(const std::filesystem::path& data);
// <data>/mirrors/<name>; `invalid` for a name that is no plain folder name.
Result<std::filesystem::path> mirror_folder(const std::filesystem::path& data,
                                            const std::string& name);

}    // namespace seatrial::resource
