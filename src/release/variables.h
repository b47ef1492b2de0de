// The variables of an environment, as the containers of a release get them, and what is wrong with
// them. Values never leave this but as Secret: faults name variables, files and lines.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/secret.h"
#include "config/config.h"
#include "release/deployment.h"
#include "secrets/source.h"

namespace seatrial::release {

struct Variable {
    Secret value;
    std::string file;    // or the name of a source; "" = the server's file itself
    int line = 0;
};
struct Variables {
    std::map<std::string, Variable> values;
    std::vector<config::Fault> faults;    // of the files; some are warnings
};
// Where they come from: files, then sources over them, each over those before it, then `env`.
struct Givers {
    const std::vector<std::string>& env_files;
    const std::vector<config::SecretSource>& secrets;    // asked_sources
    const std::map<std::string, std::string>& env;
};
// Asks every source anew. Errors: a source's, of Error::mark secrets::source_mark.
Result<Variables> read_variables(const Givers& givers, const secrets::Sources& sources,
                                 const Context& ctx);
// Of the files alone.
Variables read_variables(const std::vector<std::string>& files,
                         const std::map<std::string, std::string>& env);
// Those that a deploy asks: what is synchronised into files is read there.
std::vector<config::SecretSource> asked_sources(const std::vector<config::SecretSource>& all);

// Reads the variables of environments for one request, each once. Thread: one.
class Reader {
public:
    Reader(secrets::Sources sources, const Context& ctx)
        : sources_(std::move(sources)), ctx_(ctx) {}
    // Valid as long as this. Errors: as read_variables.
    Result<const Variables*> of(const config::Environment& environment);

private:
    secrets::Sources sources_;
    Context ctx_;
    std::map<std::string, Result<Variables>> seen_;
};

// What the containers of a component get: its defaults, the app's `env` of it, `variables`, its
// port; later ones win.
struct ComponentVariables {
    std::map<std::string, Secret> values;
    std::vector<config::Fault> faults;    // templates that name what no release has
};
ComponentVariables component_variables(const Component& part, const Variables& variables,
                                       const std::string& tag);

// The app's env schema against what each component of `content` gets; `built`: the release's
// build-time values. Each fault once. Errors: a source's.
Result<std::vector<config::Fault>> check_variables(const config::App& app, const Content& content,
                                                   const std::map<std::string, std::string>& built,
                                                   const config::Environment& environment,
                                                   Reader& reader);

// What image builds read, by the schema's scope. `invalid`, with all faults, unless it is there,
// right, and the same in every environment that takes releases; or a source's error.
Result<std::map<std::string, std::string>> build_values(const config::App& app,
                                                        const config::Server& server,
                                                        Reader& reader);

// `invalid` with all faults in one; ok when there are only warnings.
Status refuse_faults(const std::vector<config::Fault>& faults, const std::string& what);

}    // namespace seatrial::release
