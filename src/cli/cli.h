// The command line: one table of commands, from which parsing, help, completion and the
// reference page come.
#pragma once

namespace seatrial::cli {

int run(int argc, char** argv);

}    // namespace seatrial::cli
