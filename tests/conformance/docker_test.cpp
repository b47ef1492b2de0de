// docker-container, docker-task, docker-network, docker-volume and docker-image, pulled and built.
#include "support/docker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/text.h"
#include "conformance/type_conformance.h"
#include "docker/images.h"
#include "docker/json.h"
#include "docker/networks.h"
#include "git/mirror.h"
#include "git/test_repository.h"
#include "resource/docker_container.h"
#include "resource/docker_image.h"
#include "resource/docker_network.h"
#include "resource/docker_volume.h"
#include "support/temp_dir.h"

namespace seatrial::conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* place_name = "docker";

enum class Kind { container, task, network, volume, pulled, built };

Context soon() {
    return Context().with_timeout(std::chrono::seconds(60));
}

class DockerSubject : public Subject {
public:
    // World: the engine's socket, and the folder of the mirrors.
    DockerSubject(Kind kind, const std::string& world) : kind_(kind), world_(world) {
        if (world.empty()) {
            dir_ = std::make_unique<test::TempDir>();
            world_ = test::PrivateDocker::shared().socket().string() + "\n" + dir_->path().string();
            make_mirror();
        }
        const auto lines = split(world_, '\n');
        const fs::path socket(lines.at(0));
        mirrors_ = lines.at(1);
        engines_ = std::make_unique<resource::DockerEngines>(
            std::map<std::string, fs::path>{{place_name, socket}}, instance);
        engine_ = *engines_->engine_at(place_name);
        stranger_ = std::make_unique<docker::Engine>(socket, "other1");
        make_type();
    }
    std::string world() const override { return world_; }
    plan::Type& type() override { return *type_; }
    std::string place() const override { return place_name; }

    json spec(const std::string& /*name*/) override {
        switch (kind_) {
            case Kind::container: return container_spec({"sleep", "600"});
            case Kind::task: return container_spec({"sh", "-c", "echo done"});
            case Kind::network: return {{"internal", true}};
            case Kind::volume: return {{"life", "a"}};
            case Kind::pulled: return {{"pull", test::box_image}};
            case Kind::built: return {{"mirror", "app"}, {"commit", commit()}, {"context", "web"}};
        }
        return {};
    }
    json changed_spec(const std::string& name) override {
        json changed = spec(name);
        changed["life"] = "b";
        return changed;
    }
    bool make_foreign(const std::string& name) override {
        switch (kind_) {
            case Kind::container:
            case Kind::task: {
                docker::ContainerSpec theirs;
                theirs.name = name;
                theirs.image = test::box_image;
                theirs.argv = {"sleep", "600"};
                EXPECT_TRUE(docker::create_container(*stranger_, theirs, soon()));
                EXPECT_TRUE(docker::start_container(*stranger_, name, soon()));
                return true;
            }
            case Kind::network:
                EXPECT_TRUE(docker::create_network(*stranger_, name, {}, true, soon()));
                return true;
            case Kind::volume:
                EXPECT_TRUE(docker::create_volume(*stranger_, name, {}, soon()));
                return true;
            default:
                EXPECT_TRUE(docker::tag_image(*stranger_, test::box_image,
                                              resource::image_name(name), soon()));
                return true;
        }
    }
    bool foreign_intact(const std::string& name) override {
        switch (kind_) {
            case Kind::container:
            case Kind::task:
                return docker::inspect_container(*stranger_, name, soon())->state == "running";
            case Kind::network: return docker::find_networks(*stranger_, name, soon())->size() == 1;
            case Kind::volume: return docker::find_volume(*stranger_, name, soon())->has_value();
            default:
                return docker::inspect_image(*stranger_, resource::image_name(name), soon())
                    .has_value();
        }
    }
    void remove_foreign(const std::string& name) override {
        switch (kind_) {
            case Kind::container:
            case Kind::task: EXPECT_TRUE(docker::remove_container(*stranger_, name, soon())); break;
            case Kind::network: {
                const auto found = docker::find_networks(*stranger_, name, soon());
                EXPECT_TRUE(docker::remove_network(*stranger_, found->front(), soon()));
                break;
            }
            case Kind::volume: EXPECT_TRUE(docker::remove_volume(*stranger_, name, soon())); break;
            default:
                EXPECT_TRUE(
                    docker::forget_pulled_name(*stranger_, resource::image_name(name), soon()));
        }
    }
    std::string census() override {
        return names_in("/containers/json?all=1", "Names") + names_in("/networks", "Name") +
               names_in("/volumes", "Name") + names_in("/images/json", "RepoTags");
    }

private:
    static json container_spec(const std::vector<std::string>& argv) {
        return {{"image", test::box_image}, {"foreign_image", true}, {"argv", argv}, {"grace", 5}};
    }
    fs::path mirror_folder() const { return dir_->path() / "app"; }
    void make_mirror() {
        if (kind_ != Kind::built) {
            return;
        }
        const git::test::Repo repo(dir_->path() / "repo");
        repo.write("web/Dockerfile", "FROM local/box:1\nCOPY hello /hello\nUSER nobody\n");
        const std::string head = repo.commit_file("web/hello", "hello\n");
        repo.git({"clone", "-q", "--bare", ".", mirror_folder().string()});
        std::ofstream(dir_->path() / "commit") << head;
    }
    std::string commit() const { return read_file(mirrors_ / "commit", 100).value_or(""); }
    void make_type() {
        switch (kind_) {
            case Kind::container:
            case Kind::task:
                type_ = std::make_unique<resource::DockerContainer>(
                    kind_ == Kind::task ? resource::DockerContainer::Kind::task
                                        : resource::DockerContainer::Kind::component,
                    *engines_, nullptr, fs::path());
                break;
            case Kind::network: type_ = std::make_unique<resource::DockerNetwork>(*engines_); break;
            case Kind::volume: type_ = std::make_unique<resource::DockerVolume>(*engines_); break;
            default: type_ = std::make_unique<resource::DockerImage>(*engines_, mirrors_);
        }
    }
    std::string names_in(const std::string& path, const std::string& key) {
        const auto answer = engine_->call({.path = path}, soon());
        if (!answer) {
            return render_error(answer.error()) + "\n";
        }
        const json& list = answer->is_array() ? *answer : docker::member(*answer, "Volumes");
        std::vector<std::string> lines;
        for (const json& one : list) {
            lines.push_back(path + " " + one.value(key, json()).dump() + " " +
                            one.value("Labels", json()).dump());
        }
        std::sort(lines.begin(), lines.end());
        return join(lines, "\n") + "\n";
    }

    Kind kind_;
    std::string world_;
    std::unique_ptr<test::TempDir> dir_;
    fs::path mirrors_;
    std::unique_ptr<resource::DockerEngines> engines_;
    docker::Engine* engine_ = nullptr;
    std::unique_ptr<docker::Engine> stranger_;
    std::unique_ptr<plan::Type> type_;
};

template <Kind kind>
std::unique_ptr<Subject> make(const std::string& world) {
    return std::make_unique<DockerSubject>(kind, world);
}

template <Kind kind>
bool add(const char* name) {
    return test::may_run_docker() && add_subject(name, &make<kind>);
}

const bool added[] = {
    add<Kind::container>("docker-container"), add<Kind::task>("docker-task"),
    add<Kind::network>("docker-network"),     add<Kind::volume>("docker-volume"),
    add<Kind::pulled>("docker-image pulled"), add<Kind::built>("docker-image built"),
};

// Without root no subject is there: said, not passed over in silence.
TEST(DockerConformance, NeedsAnEngine) {
    if (!test::may_run_docker()) {
        GTEST_SKIP() << "an engine of our own needs root";
    }
}

}    // namespace
}    // namespace seatrial::conformance
