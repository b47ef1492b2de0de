#include "http/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <vector>

namespace seatrial::http {
namespace {

using std::chrono::milliseconds;

bool becomes(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    return condition();
}

TEST(WorkerPool, StartsThreadsOnlyWhenNeededAndLetsThemGo) {
    WorkerPool pool({4, 4, milliseconds(5)}, "test");
    EXPECT_EQ(pool.threads(), 0u);
    std::promise<void> done;
    ASSERT_TRUE(pool.submit([&done] { done.set_value(); }));
    done.get_future().wait();
    EXPECT_TRUE(becomes([&pool] { return pool.threads() == 0; }));
    std::promise<void> again;
    ASSERT_TRUE(pool.submit([&again] { again.set_value(); }));
    again.get_future().wait();
}

TEST(WorkerPool, FullIsRefusedUnlessItMustBeTaken) {
    std::latch go(1);
    std::atomic<int> ran = 0;
    WorkerPool pool({2, 3, milliseconds(60'000)}, "test");
    const auto job = [&go, &ran] {
        go.wait();
        ++ran;
    };
    int taken = 0;
    while (pool.submit(job)) {
        ++taken;
        ASSERT_LE(taken, 5);
    }
    EXPECT_EQ(taken, 5);    // two at work, or just about to, and three in the queue
    EXPECT_TRUE(pool.submit(job, true));
    EXPECT_EQ(pool.threads(), 2u);
    go.count_down();
    pool.stop();
    EXPECT_EQ(ran, taken + 1);
    EXPECT_EQ(pool.threads(), 0u);
}

TEST(WorkerPool, ManySubmittersLoseNothing) {
    std::atomic<int> ran = 0;
    {
        WorkerPool pool({8, 1'000'000, milliseconds(0)}, "test");
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&pool, &ran] {
                for (int j = 0; j < 2000; ++j) {
                    EXPECT_TRUE(pool.submit([&ran] { ++ran; }));
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
    }
    EXPECT_EQ(ran, 8000);
}

}    // namespace
}    // namespace seatrial::http
