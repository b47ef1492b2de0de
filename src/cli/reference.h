// Pages made from the command table.
#pragma once

#include <string>

namespace seatrial::cli {

std::string commands_page();                                // docs/reference/commands.md
std::string render_completion(const std::string& shell);    // "" for an unknown shell

}    // namespace seatrial::cli
