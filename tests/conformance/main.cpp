#include <gtest/gtest.h>

#include "conformance/child.h"

int main(int argc, char** argv) {
    if (seatrial::conformance::is_child()) {
        return seatrial::conformance::run_as_child();
    }
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
