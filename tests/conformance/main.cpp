#include "conformance/child.h"

int main(int argc, char** argv) {
    if (seatrial::conformance::is_child()) {
        return seatrial::conformance::run_as_child();
    }
    return seatrial::conformance::run_tests(argc, argv);
}
