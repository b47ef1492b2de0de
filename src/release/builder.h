// Makes a release: one commit becomes images, once. What is promoted later is this object, never
// another build.
#pragma once

#include <string>

#include "config/config.h"
#include "docker/engine.h"
#include "git/mirror.h"
#include "release/artefacts.h"
#include "release/deployment.h"
#include "release/migration.h"
#include "store/records.h"

namespace seatrial::release {

struct BuildRequest {
    std::string id;    // of the release it becomes: make_id()
    config::App app;
    std::string app_text;    // of seatrial.yaml at the commit
    std::string commit;      // 40 hex, in `mirror`
    std::string branch;
    std::string actor;
    std::map<std::string, std::string> values;    // arguments for every image
    BuildMeans means;
};

struct Release {
    std::string id, app, commit, branch, version, tag, app_text, actor;
    std::string config_hash;                      // of app_text and `values`
    std::map<std::string, std::string> values;    // build-time variables, by the env schema
    std::map<std::string, Artefact> components;
    std::string rejected;
    std::vector<SqlFile> sql;                    // of its migration
    std::map<std::string, std::string> files;    // path → bytes of what its checks send
    config::Compatibility compatibility;
    WallTime at{};
};
Result<Release> release_of(const store::Release& row);
std::string render_release(const Release& release);    // the data of its row

std::string make_id();
// "<version>-<first 7 of the commit>".
std::string make_tag(const std::string& version, const std::string& commit);
// From package.json or pyproject.toml; "" when neither tells one.
std::string version_in(const std::string& package_json, const std::string& pyproject);

// Components side by side. A commit that was built before with the same configuration, and whose
// images are still there, is that release again. Errors: `invalid` (nothing to build, no version
// that can be a tag), `failed` (a build, with its end), `unavailable`.
Result<Release> build(store::Records& records, docker::Engine& engine, const git::Mirror& mirror,
                      const BuildRequest& request, const OnLine& on_line, const Context& ctx);

// Whether the engine still has all of them: old ones go (release/retention.h).
Result<bool> has_images(docker::Engine& engine, const Release& release, const Context& ctx);

// What a slot runs of it, in an environment.
Content make_content(const Release& release, const config::App& app,
                     const config::Environment& environment);

}    // namespace seatrial::release
