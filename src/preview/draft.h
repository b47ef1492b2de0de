// What the plans of all providers have in common. Pure: reads no clock, file or server.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "plan/graph.h"
#include "preview/spec.h"

namespace seatrial::preview {

// Where things lie; fixed for the daemon's life.
struct Layout {
    std::filesystem::path data;
    std::filesystem::path previews;    // worktrees
    std::string database_place = "postgres";
    std::string docker_place = "docker";
};

// What stands now, as far as a plan depends on it.
struct World {
    std::map<plan::Ref, plan::Observation> seen;    // components that the life owns; absent ones
                                                    // left out
    std::vector<plan::Ref> owned;                   // all refs in the records, what must be
                                                    // destroyed first in front (plan::Traits)
};

// A resource that runs a component, whoever's provider.
bool runs_component(const plan::Ref& ref);

// A plan in the making.
struct Draft {
    const Spec& spec;
    const config::App& app;
    const Layout& layout;
    const World& world;
    plan::Graph graph = {};
    std::vector<std::string> stops = {};    // ids of the stop nodes
    bool stopping = false;                  // something that serves is stopped: an update

    plan::Node& add(std::string id, std::string title, plan::Ref ref, nlohmann::json spec_of_it,
                    std::vector<std::string> after);
    bool has(std::string_view id) const;
    // The ids among `candidates` that this plan has.
    std::vector<std::string> present(const std::vector<std::string>& candidates) const;
    // The log of a component or tool, below the data folder.
    std::string log_file(const std::string& name) const;

    void add_commit();
    // Role, template and clone, where the app's database is PostgreSQL.
    void add_postgres();
    // Components that stand and will not be the same afterwards are stopped after `prepared`: all
    // that can fail without touching them. `run` is where a component runs in this plan.
    using RunOf = std::function<plan::Ref(const config::Component&)>;
    using SpecOf = std::function<nlohmann::json(const config::Component&)>;
    void add_stops(const RunOf& run, const SpecOf& spec_of,
                   const std::vector<std::string>& prepared);
    // Last of all, one after the other: what the life owns and this plan no longer names.
    void add_superseded();
    plan::Graph finish();

private:
    plan::Node& add_destroy(std::string id, std::string title, const plan::Ref& ref,
                            std::vector<std::string> after);
};

struct Endpoint {
    std::string host;
    int port = 0;
};
// Everything a component or tool (nullptr) of this preview sees, without secrets and database
// (resource/environment.h). `inside`: where other components of the preview reach one that has a
// port.
nlohmann::json environment_of(const Spec& spec, const config::App& app,
                              const config::Component* component,
                              const std::function<Endpoint(const config::Component&)>& inside);
// Its part `database`, for PostgreSQL.
nlohmann::json postgres_of(const Spec& spec, const config::App& app, const Layout& layout);

}    // namespace seatrial::preview
