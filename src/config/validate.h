// A YAML tree against the key table: every fault at once, with line and remedy.
#pragma once

#include <string>
#include <vector>

#include "config/keys.h"
#include "config/yaml.h"

namespace seatrial::config {

// `file`: app or server; both = one file that holds both parts. Short forms are written out in
// `root` (`health: /` becomes {path: /}, a text for a list a list of one, `key:` without a value
// goes), so that readers meet one form only. At most 100 faults are added.
void validate(Node& root, Where file, const std::string& name, std::vector<Fault>& faults);

// In the order of the file.
void sort_faults(std::vector<Fault>& faults);

}    // namespace seatrial::config
