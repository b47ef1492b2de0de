#include "release/variables.h"

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "config/env_file.h"
#include "config/secret_text.h"

namespace seatrial::release {
namespace {

using config::Fault;
using Values = std::map<std::string, std::string>;

constexpr std::size_t file_limit = 1 << 20;

void read_one(const std::string& file, Variables& out) {
    const auto text = read_file(file, file_limit);
    if (!text) {
        out.faults.push_back({file, 0, "", "cannot be read: " + text.error().message,
                              "make it readable for the user that the daemon runs as", false});
        return;
    }
    const auto parsed = config::parse_env_file(*text, file);
    out.faults.insert(out.faults.end(), parsed.faults.begin(), parsed.faults.end());
    for (const auto& [name, entry] : parsed.value) {
        if (config::is_private_key(entry.value)) {
            out.faults.push_back({file, entry.line, name, "is a private key",
                                  "put it into a file of mode 0600 and name that in "
                                  "release.key_files of the environment",
                                  false});
        }
        out.values[name] = {Secret(entry.value), file, entry.line};
    }
}

Status ask_one(const config::SecretSource& source, const secrets::Sources& sources,
               const Context& ctx, Variables& out) {
    TRY_ASSIGN(auto values, sources.read(source, ctx));
    const std::string from = config::name_of(source);
    for (auto& [name, value] : values) {
        if (config::is_private_key(value.reveal())) {
            out.faults.push_back({from, 0, name, "is a private key",
                                  "let `sync` with `keys` of the source write it into a file, and "
                                  "name that in release.key_files of the environment",
                                  false});
        }
        out.values[name] = {std::move(value), from, 0};
    }
    return {};
}

// Whatever the rule says: on a server every value may be a secret.
std::vector<config::EnvRule> rules_for(const config::App& app, const std::string& component,
                                       bool build) {
    std::vector<config::EnvRule> out;
    for (const auto& rule : app.env) {
        const bool all = rule.components.empty() || component.empty();
        if (rule.build == build &&
            (all || std::ranges::find(rule.components, component) != rule.components.end())) {
            out.push_back(rule);
            out.back().secret = true;
        }
    }
    return out;
}

std::string remedy_of(const config::Environment& environment) {
    const auto& files = environment.release.env_files;
    const auto asked = asked_sources(environment.release.secrets);
    if (!asked.empty()) {
        return "give it in " + config::name_of(asked.back());
    }
    return files.empty() ? "give it in environments." + environment.name +
                               ".release.env_files of the server's file"
                         : "give it in " + files.back();
}

void add_faults(const std::vector<Fault>& found, const Variables& variables,
                const config::Environment& environment, std::vector<Fault>& out) {
    for (Fault fault : found) {
        const auto at = variables.values.find(fault.key);
        if (at != variables.values.end() && !at->second.file.empty()) {
            fault.file = at->second.file;
            fault.line = at->second.line;
        } else {
            fault.file = "environment " + environment.name;
        }
        if (std::ranges::find(out, fault) == out.end()) {
            out.push_back(std::move(fault));
        }
    }
}

// The value, else what the rule says.
std::optional<std::string> value_of(const config::EnvRule& rule, const Variables& variables) {
    const auto found = variables.values.find(rule.name);
    return found != variables.values.end() ? found->second.value.reveal() : rule.value;
}

}    // namespace

Variables read_variables(const std::vector<std::string>& files, const Values& env) {
    Variables out;
    for (const auto& file : files) {
        read_one(file, out);
    }
    for (const auto& [name, value] : env) {
        out.values[name] = {Secret(value), "", 0};
    }
    return out;
}

Result<Variables> read_variables(const Givers& givers, const secrets::Sources& sources,
                                 const Context& ctx) {
    Variables out = read_variables(givers.env_files, {});
    for (const auto& source : givers.secrets) {
        TRY(ask_one(source, sources, ctx, out));
    }
    for (const auto& [name, value] : givers.env) {
        out.values[name] = {Secret(value), "", 0};
    }
    return out;
}

ComponentVariables component_variables(const Component& part, const Variables& variables,
                                       const std::string& tag) {
    ComponentVariables out;
    Values known = part.defaults;
    for (const auto& [name, variable] : variables.values) {
        known[name] = variable.value.reveal();
    }
    known["PORT"] = std::to_string(part.port);
    known["SEATRIAL_RELEASE"] = tag;
    const auto expand = [&](const std::string& name, const std::string& text, const Fault& fault) {
        const auto value = config::expand_template(text, known);
        if (value) {
            out.values[name] = Secret(*value);
        } else {
            out.faults.push_back(fault);
            out.faults.back().message = value.error().message;
        }
    };
    for (const auto& [name, text] : part.templates) {
        if (!variables.values.contains(name)) {
            expand(name, text,
                   {"seatrial.yaml", 0, "components." + part.name + ".env." + name, "",
                    "give " + name + " in an env file of the environment", false});
        }
    }
    for (const auto& [name, text] : part.env) {
        expand(name, text,
               {"", 0, "env." + name, "", "write the value out in the server's file", false});
    }
    for (const auto& [name, value] : known) {
        out.values.try_emplace(name, Secret(value));
    }
    return out;
}

std::vector<config::SecretSource> asked_sources(const std::vector<config::SecretSource>& all) {
    std::vector<config::SecretSource> out;
    std::ranges::copy_if(all, std::back_inserter(out), [](const config::SecretSource& source) {
        return source.sync.file.empty();
    });
    return out;
}

Result<const Variables*> Reader::of(const config::Environment& environment) {
    auto found = seen_.find(environment.name);
    if (found == seen_.end()) {
        const auto asked = asked_sources(environment.release.secrets);
        found = seen_
                    .emplace(environment.name,
                             read_variables({environment.release.env_files, asked, environment.env},
                                            sources_, ctx_))
                    .first;
    }
    if (!found->second) {
        return tl::unexpected(found->second.error());
    }
    return &*found->second;
}

Result<std::vector<Fault>> check_variables(const config::App& app, const Content& content,
                                           const Values& built,
                                           const config::Environment& environment, Reader& reader) {
    TRY_ASSIGN(const Variables* read, reader.of(environment));
    const Variables& variables = *read;
    std::vector<Fault> out = variables.faults;
    const std::string remedy = remedy_of(environment);
    for (const auto& part : content.components) {
        Variables all = variables;
        for (const auto& [name, value] : part.env) {
            all.values[name] = {Secret(value), "", 0};
        }
        const ComponentVariables given = component_variables(part, all, content.tag);
        out.insert(out.end(), given.faults.begin(), given.faults.end());
        Values values;
        for (const auto& [name, value] : given.values) {
            values[name] = value.reveal();
        }
        add_faults(config::check_env(rules_for(app, part.name, false), values, remedy), variables,
                   environment, out);
    }
    for (const auto& rule : rules_for(app, "", true)) {
        const auto baked = built.find(rule.name);
        const auto wanted = value_of(rule, variables);
        if ((baked == built.end() ? std::nullopt : std::optional(baked->second)) != wanted) {
            add_faults({{"", 0, rule.name, "is built into " + content.tag + " with another value",
                         "make it the same in every environment and build again", false}},
                       variables, environment, out);
        }
    }
    return out;
}

Result<Values> build_values(const config::App& app, const config::Server& server, Reader& reader) {
    const auto rules = rules_for(app, "", true);
    Values out;
    if (rules.empty()) {
        return out;
    }
    std::vector<Fault> faults;
    std::string first;    // the environment that gave `out`
    for (const auto& [env, environment] : server.environments) {
        if (environment.release.listen.empty()) {
            continue;
        }
        TRY_ASSIGN(const Variables* read, reader.of(environment));
        const Variables& variables = *read;
        faults.insert(faults.end(), variables.faults.begin(), variables.faults.end());
        Values values;
        for (const auto& rule : rules) {
            if (auto value = value_of(rule, variables)) {
                values[rule.name] = std::move(*value);
            }
        }
        for (const auto& rule : rules) {
            const auto here = values.find(rule.name);
            const auto there = out.find(rule.name);
            const bool same =
                here == values.end() ? there == out.end() : there != out.end() && *here == *there;
            if (!first.empty() && !same) {
                add_faults({{"", 0, rule.name,
                             "differs between " + first + " and " + env +
                                 ", and a release is built once for both",
                             "make it the same, or read it when the app runs", false}},
                           variables, environment, faults);
            }
        }
        add_faults(config::check_env(rules, values, remedy_of(environment)), variables, environment,
                   faults);
        if (first.empty()) {
            first = env;
            out = std::move(values);
        }
    }
    TRY(refuse_faults(faults, "the variables that image builds read are not right"));
    return out;
}

Status refuse_faults(const std::vector<Fault>& faults, const std::string& what) {
    if (std::ranges::all_of(faults, &Fault::warning)) {
        return {};
    }
    Error error = config::faults_to_error(faults);
    error.message = what + ":\n" + error.message;
    error.hint = "nothing was changed";
    return tl::unexpected(std::move(error));
}

}    // namespace seatrial::release
