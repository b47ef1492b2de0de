// The suite that every plan::Type must pass: create, repeat, observe, list, change, destroy, a
// stranger's thing of the same name, bad names, cancellation, and every failpoint of create and
// destroy once as an error and once as kill -9 (in a child), with a second kill in the recovery.
//
// A test file makes a Subject for its type and says, at namespace scope,
//   const bool added = conformance::add_subject("worktree", &make_worktree_subject);
// The suite's main() is in this library.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "plan/resource.h"

namespace seatrial::conformance {

// The instance that subjects' names are marked with.
inline constexpr const char* instance = "tstcfm";
// A name of this instance that no other call gave.
std::string new_name(const std::string& text);

// A type in a world of its own (a folder, a server) that goes with the object.
class Subject {
public:
    virtual ~Subject() = default;
    // From which another process reaches the same world; one line or more, not empty.
    virtual std::string world() const = 0;
    virtual plan::Type& type() = 0;
    virtual std::string place() const = 0;
    // What create() makes a thing from, and another spec it may change to. `name`: of the thing.
    virtual nlohmann::json spec(const std::string& name) = 0;
    virtual nlohmann::json changed_spec(const std::string& name) = 0;
    // A thing of somebody else under that name, whether it still is as it was made, its end.
    // False: in this world nobody else can have such a name.
    virtual bool make_foreign(const std::string& name) = 0;
    virtual bool foreign_intact(const std::string& name) = 0;
    virtual void remove_foreign(const std::string& name) = 0;
    // All that is in the world, as text; what comes and goes by itself is left out.
    virtual std::string census() = 0;
};

// `world` is empty for a new world, else what another process's world() said: then nothing is
// set up (no temporary folder either: this process may be killed) and nothing removed.
using MakeSubject = std::unique_ptr<Subject> (*)(const std::string& world);
bool add_subject(const std::string& name, MakeSubject make);

// Said at namespace scope as well: every process of this program leaves root at its start.
bool run_as_ordinary_user();

}    // namespace seatrial::conformance
