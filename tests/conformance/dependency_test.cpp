// dep-tree and dep-mount, as an ordinary user (copies) and, where we are root, with the
// privileged helper (overlays). Opening a Runner as root leaves root for good, so every call
// of a type is made by a short-lived fork of this program.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/failpoint.h"
#include "base/names.h"
#include "conformance/type_conformance.h"
#include "crypto/crypto.h"
#include "git/mirror.h"
#include "git/test_repository.h"
#include "git/worktree.h"
#include "process/runner.h"
#include "resource/dependency_mount.h"
#include "resource/dependency_tree.h"
#include "resource/mount_table.h"
#include "support/ordinary_user.h"

namespace seatrial::conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Kind {
    bool root = false;
    bool mount = false;    // else the tree itself
};

// The types in a process of their own, in the folder `base`.
struct World {
    explicit World(const fs::path& base) : data(base / "data") {
        // The points under test are those of this process; the helper has its own suite.
        ::unsetenv("SEATRIAL_FAILPOINTS");
        ::unsetenv("SEATRIAL_FAILPOINT_RECORD");
        auto opened = process::Runner::open({data, instance, "60990"});
        check(opened.has_value(), opened ? "" : render_error(opened.error()).c_str());
        runner = std::move(*opened);
        const resource::DatabaseUrl none = [](const auto&, const auto&, const auto&,
                                              const Context&) { return Result<Secret>(Secret()); };
        tree = std::make_unique<resource::DependencyTree>(*runner, data, instance, none);
        mount = std::make_unique<resource::DependencyMount>(*runner, data, instance);
    }
    plan::Type& type(const Kind& kind) const {
        return kind.mount ? static_cast<plan::Type&>(*mount) : *tree;
    }
    fs::path data;
    std::unique_ptr<process::Runner> runner;
    std::unique_ptr<resource::DependencyTree> tree;
    std::unique_ptr<resource::DependencyMount> mount;
};

json to_json(const Status& status) {
    return status ? json{{"ok", true}}
                  : json{{"ok", false},
                         {"code", static_cast<int>(status.error().code)},
                         {"message", render_error(status.error())},
                         {"hint", status.error().hint}};
}

template <class T>
Status status_of(const Result<T>& result) {
    return result ? Status{} : Status(tl::unexpected(result.error()));
}

// Runs `body` in a fork, in the world at `base`, and brings back what it returns.
json in_fork(const Kind& kind, const fs::path& base, const std::function<json(World&)>& body) {
    int ends[2];
    check(::pipe(ends) == 0, "pipe");
    const pid_t child = ::fork();
    check(child >= 0, "fork");
    if (child == 0) {
        ::close(ends[0]);
        if (!kind.root) {
            test::leave_root();
        }
        std::string text;
        {
            World world(base);
            text = body(world).dump();
        }
        const bool whole =
            ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(whole ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text;
    char chunk[4096];
    for (ssize_t got = 1; got > 0;) {
        got = ::read(ends[0], chunk, sizeof chunk);
        text.append(chunk, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    ::close(ends[0]);
    int state = 0;
    check(::waitpid(child, &state, 0) == child && state == 0, "the fork ended well");
    return json::parse(text);
}

// The real type stands in forks; this one carries the calls there.
class ForkedType : public plan::Type {
public:
    ForkedType(Kind kind, fs::path base) : kind_(kind), base_(std::move(base)) {}
    std::string_view name() const override {
        return kind_.mount ? resource::dependency_mount_type : resource::dependency_tree_type;
    }
    plan::Traits traits() const override {
        plan::Traits traits;
        traits.on_change = kind_.mount ? plan::OnChange::in_place : plan::OnChange::keep;
        return traits;
    }
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override {
        const auto said = call([&](plan::Type& type) {
            const auto names = type.list(place, ctx);
            json out = to_json(status_of(names));
            out["names"] = names.value_or(std::vector<std::string>());
            return out;
        });
        TRY(outcome(said));
        return said.at("names").get<std::vector<std::string>>();
    }
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override {
        const auto said = call([&](plan::Type& type) {
            const auto seen = type.observe(ref, ctx);
            json out = to_json(status_of(seen));
            const auto value = seen.value_or(plan::Observation());
            out["presence"] = static_cast<int>(value.presence);
            out["spec_hash"] = value.spec_hash;
            out["detail"] = value.detail;
            return out;
        });
        TRY(outcome(said));
        plan::Observation seen;
        seen.presence = static_cast<plan::Presence>(said.at("presence").get<int>());
        seen.spec_hash = said.at("spec_hash").get<std::string>();
        seen.detail = said.at("detail").get<std::string>();
        return seen;
    }
    Status create(const plan::Ref& ref, const json& spec, const plan::Progress& /*progress*/,
                  const Context& ctx) override {
        return outcome(call([&](plan::Type& type) {
            return to_json(type.create(ref, spec, [](std::string_view) {}, ctx));
        }));
    }
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override {
        const auto said = call([&](plan::Type& type) {
            const auto removal = type.destroy(ref, ctx);
            json out = to_json(status_of(removal));
            out["note"] = removal.value_or(plan::Removal()).note;
            return out;
        });
        TRY(outcome(said));
        return plan::Removal{said.at("note").get<std::string>(), 0};
    }

private:
    json call(const std::function<json(plan::Type&)>& body) const {
        return in_fork(kind_, base_, [&](World& world) { return body(world.type(kind_)); });
    }
    static Status outcome(const json& said) {
        return said.at("ok").get<bool>() ? Status{}
                                         : fail(static_cast<Code>(said.at("code").get<int>()),
                                                said.at("message").get<std::string>(),
                                                said.at("hint").get<std::string>());
    }
    Kind kind_;
    fs::path base_;
};

class DependencySubject : public Subject {
public:
    DependencySubject(Kind kind, const std::string& world) : kind_(kind) {
        if (!world.empty()) {
            // A process of its own: the type itself, so that it is what dies.
            base_ = world;
            // Opens its record file while we still may.
            [[maybe_unused]] const bool active = failpoints_active();
            if (!kind.root) {
                test::leave_root();
            }
            here_ = std::make_unique<World>(base_);
            return;
        }
        own_ = true;
        std::string made = "/tmp/st-depconf-XXXXXX";
        check(::mkdtemp(made.data()) != nullptr, "mkdtemp");
        base_ = made;
        ::chmod(made.c_str(), 0777);
        in_fork(kind_, base_, [this](World& fresh) { return set_up(fresh); });
        proxy_ = std::make_unique<ForkedType>(kind_, base_);
    }
    ~DependencySubject() override {
        if (own_) {
            std::error_code ignored;
            fs::remove_all(base_, ignored);
        }
    }
    std::string world() const override { return base_; }
    plan::Type& type() override { return here_ ? here_->type(kind_) : *proxy_; }
    std::string place() const override { return "host"; }
    json spec(const std::string& name) override { return spec_for(name, tree_name("one")); }
    json changed_spec(const std::string& name) override {
        json changed = spec_for(name, tree_name("other"));
        if (!kind_.mount) {
            changed["argv"][2] = script("other");
        }
        return changed;
    }
    // Nobody else comes into the folders, and the name carries the mark.
    bool make_foreign(const std::string& /*name*/) override { return false; }
    bool foreign_intact(const std::string& /*name*/) override { return true; }
    void remove_foreign(const std::string& /*name*/) override {}
    std::string census() override;

private:
    static std::string tree_name(const std::string& text) {
        return make_name(instance, "tree-" + text, "0123456789ab");
    }
    static std::string worktree_name(const std::string& mount) {
        return make_name(instance, "w", crypto::sha256_hex(mount));
    }
    static std::string script(const std::string& text) {
        return "mkdir -p node_modules/x b/node_modules; echo " + text + " > node_modules/x/f";
    }
    fs::path data() const { return base_ / "data"; }
    json spec_for(const std::string& name, const std::string& tree);
    json tree_spec(const std::string& text) const {
        return {{"mirror", "app.git"},
                {"commit", git::test::slurp(base_ / "commit")},
                {"argv", {"/bin/sh", "-c", script(text)}},
                {"keep", {"node_modules", "*/node_modules"}},
                {"uid_slot", 9},
                {"home", (data() / "homes" / "app").string()},
                {"log", (data() / "logs" / "install.log").string()}};
    }
    json set_up(const World& fresh) const;
    json add_worktree(const World& world, const std::string& name) const;

    Kind kind_;
    bool own_ = false;
    fs::path base_;
    std::unique_ptr<World> here_;
    std::unique_ptr<ForkedType> proxy_;
};

json DependencySubject::set_up(const World& fresh) const {
    const git::test::Repo repo(base_ / "repo");
    git::test::write(base_ / "commit", repo.commit_file("package.json", "{}"));
    const git::Mirror mirror(data() / "mirrors" / "app.git");
    check(mirror.ensure(git::test::soon()).has_value(), "mirror");
    repo.git({"push", "-q", mirror.folder().string(), "+HEAD:refs/st/in/x"});
    for (const std::string text : {"one", "other"}) {
        if (kind_.mount) {
            const plan::Ref ref{"dep-tree", "host", tree_name(text)};
            const auto made =
                fresh.tree->create(ref, tree_spec(text), [](auto) {}, git::test::soon());
            check(made.has_value(), made ? "" : render_error(made.error()).c_str());
        }
    }
    return json::object();
}

json DependencySubject::add_worktree(const World& world, const std::string& name) const {
    const auto folder = data() / "previews" / worktree_name(name);
    if (!fs::exists(folder)) {
        check(make_dirs(folder, 0711).has_value(), "worktree");
        check(make_dirs(git::tree_folder(folder), 0755).has_value(), "worktree");
        if (world.runner->privileged()) {
            check(world.runner->own(git::tree_folder(folder), 1, git::test::soon()).has_value(),
                  "own");
        }
    }
    return json::object();
}

json DependencySubject::spec_for(const std::string& name, const std::string& tree) {
    if (!kind_.mount) {
        return tree_spec("one");
    }
    if (here_) {
        add_worktree(*here_, name);
    } else {
        in_fork(kind_, base_, [&](World& world) { return add_worktree(world, name); });
    }
    return {{"tree", tree},
            {"previews", (data() / "previews").string()},
            {"worktree", worktree_name(name)},
            {"uid_slot", 1}};
}

// Trash is somebody else's to empty; worktrees are ours, the types only put folders into them.
std::string DependencySubject::census() {
    std::vector<std::string> lines;
    for (const char* top : {"trees", "scratch", "mounts", "run"}) {
        if (!fs::exists(data() / top)) {
            continue;
        }
        for (const auto& entry : fs::recursive_directory_iterator(data() / top)) {
            const bool text = entry.path().extension() == ".json";
            lines.push_back(entry.path().string() +
                            (text ? " " + git::test::slurp(entry.path()) : ""));
        }
    }
    if (fs::exists(data() / "previews")) {
        for (const auto& entry : fs::directory_iterator(data() / "previews")) {
            if (fs::exists(entry.path() / "deps")) {
                lines.push_back(entry.path() / "deps");
            }
            for (const auto& kept : fs::recursive_directory_iterator(git::tree_folder(entry))) {
                if (kept.is_regular_file()) {
                    lines.push_back(kept.path());
                }
            }
        }
    }
    const auto points = resource::mounted().value();
    for (const auto& point : points) {
        if (point.path.string().starts_with(base_.string() + "/")) {
            lines.push_back("mounted " + point.path.string());
        }
    }
    std::sort(lines.begin(), lines.end());
    std::string out;
    for (const auto& line : lines) {
        out += line + "\n";
    }
    return out;
}

template <bool root, bool mount>
std::unique_ptr<Subject> make(const std::string& world) {
    return std::make_unique<DependencySubject>(Kind{root, mount}, world);
}

// As root both worlds, else the ordinary user's alone.
bool add_all() {
    add_subject("dep-tree user", &make<false, false>);
    add_subject("dep-mount user", &make<false, true>);
    if (::geteuid() == 0) {
        add_subject("dep-mount root", &make<true, true>);
    }
    return true;
}
const bool added = add_all();

}    // namespace
}    // namespace seatrial::conformance
