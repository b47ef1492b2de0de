// The variables of an environment, as the containers of a release get them, and what is wrong with
// them. Values never leave this but as Secret: faults name variables, files and lines.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/secret.h"
#include "config/config.h"
#include "release/deployment.h"

namespace seatrial::release {

struct Variable {
    Secret value;
    std::string file;    // "" = the server's file itself
    int line = 0;
};
struct Variables {
    std::map<std::string, Variable> values;
    std::vector<config::Fault> faults;    // of the files; some are warnings
};
// Later files win, and `env` over all of them.
Variables read_variables(const std::vector<std::string>& files,
                         const std::map<std::string, std::string>& env);
Variables read_variables(const config::Environment& environment);

// What the containers of a component get: its defaults, the app's `env` of it, `variables`, its
// port; later ones win.
struct ComponentVariables {
    std::map<std::string, Secret> values;
    std::vector<config::Fault> faults;    // templates that name what no release has
};
ComponentVariables component_variables(const Component& part, const Variables& variables,
                                       const std::string& tag);

// The app's env schema against what each component of `content` gets; `built`: the release's
// build-time values. Each fault once.
std::vector<config::Fault> check_variables(const config::App& app, const Content& content,
                                           const std::map<std::string, std::string>& built,
                                           const config::Environment& environment);

// What image builds read, by the schema's scope. `invalid`, with all faults, unless it is there,
// right, and the same in every environment that takes releases.
Result<std::map<std::string, std::string>> build_values(const config::App& app,
                                                        const config::Server& server);

// `invalid` with all faults in one; ok when there are only warnings.
Status refuse_faults(const std::vector<config::Fault>& faults, const std::string& what);

}    // namespace seatrial::release
