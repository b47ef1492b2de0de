// Runs one function of a type in a process of its own, so that it may be killed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "conformance/type_conformance.h"

namespace seatrial::conformance {

const std::map<std::string, MakeSubject>& subjects();

struct ChildRun {
    int state = 0;                   // as of waitpid
    std::vector<std::string> hit;    // failpoints passed, in order, with repetitions
    std::vector<std::string> fired;
    std::string output;
    bool ok() const { return state == 0; }
};

// `action` is create or destroy; `failpoints` as in SEATRIAL_FAILPOINTS.
ChildRun run_in_child(const std::string& subject, const std::string& world,
                      const std::string& action, const std::string& name,
                      const std::string& failpoints);

// The other end: what main() does when it finds itself to be such a child.
bool is_child();
int run_as_child();

// What main() does otherwise: all tests. A program whose tests are of an ordinary user leaves root,
// in a child, and its report still comes to where GTEST_OUTPUT says.
int run_tests(int argc, char** argv);

}    // namespace seatrial::conformance
