#include "cli/cli.h"

int main(int argc, char** argv) {
    return seatrial::cli::run(argc, argv);
}
