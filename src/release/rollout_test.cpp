// A rollout played through: what decide() says is done at once, time goes on when it waits.
#include "release/rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace seatrial::release {
namespace {

using std::chrono::seconds;

struct Player {
    Policy policy;
    State state;
    Seen seen{WallTime(seconds(1000)), 0, std::nullopt};
    std::vector<std::string> log;
    bool unhealthy = false;
    bool has_checks = false;
    bool has_workers = false;    // each release; they run until `rest` and their job's end
    bool quick_jobs = true;
    std::set<std::string> working;
    bool has_queues = false;
    bool paused = false;
    int resume_fails = 0;

    void put(const std::string& slot, Phase phase) {
        state.slots[slot].phase = phase;
        state.slots[slot].since = seen.now;
    }
    void want(const std::string& release) {
        state.wanted = release;
        state.step = -1;
        state.stopped = false;
        state.switched_at.reset();
    }
    void promote(const std::string& slot) {
        if (!state.stable.empty() && state.stable != slot) {
            put(state.stable, Phase::draining);
        }
        put(slot, Phase::serving);
        state.stable = slot;
        state.switched_at = seen.now;
        state.step = -1;
    }
    // One decision, carried out. False: it waits for nothing any more.
    bool play() {
        seen.queues = has_queues && !state.stable.empty();
        if (has_workers) {
            seen.workers.clear();
            for (const auto& [name, slot] : state.slots) {
                if (slot.phase != Phase::serving) {
                    seen.workers[name] = working.contains(name) ? 1 : 0;
                }
            }
        }
        const Action action = decide(policy, state, seen);
        if (action.what == Do::nothing) {
            if (!action.until) {
                return false;
            }
            EXPECT_GT(*action.until, seen.now) << "waits for the past";
            seen.now = *action.until;
            return true;
        }
        std::string line = std::string(to_string(action.what)) + " " + action.slot;
        if (action.what == Do::share) {
            line += " " + std::to_string(action.per_mille);
        }
        log.push_back(line);
        switch (action.what) {
            case Do::start:
                state.slots[action.slot].release = state.wanted;
                working.insert(action.slot);
                put(action.slot, unhealthy ? Phase::failed : Phase::ready);
                if (unhealthy) {
                    state.stopped = true;
                }
                break;
            case Do::check: put(action.slot, Phase::checked); break;
            case Do::share:
                put(action.slot, Phase::serving);
                state.step = action.step;
                state.step_since = seen.now;
                break;
            case Do::promote:
                state.proving = has_checks && state.slots[action.slot].phase == Phase::checked;
                promote(action.slot);
                break;
            case Do::prove: state.proving = false; break;
            case Do::drain:
                paused = true;
                state.drain = Drain{state.wanted, seen.now, true, std::nullopt};
                break;
            case Do::resume:
                if (resume_fails-- > 0) {
                    state.drain->retry = seen.now + seconds(2);
                    break;
                }
                paused = false;
                state.drain.reset();
                break;
            case Do::reset: state.reset.reset(); break;
            case Do::rest:
                state.slots[action.slot].resting = seen.now;
                state.slots[action.slot].asked = true;
                if (quick_jobs) {
                    working.erase(action.slot);
                }
                break;
            case Do::end: working.erase(action.slot); break;
            case Do::rouse:
                working.insert(action.slot);
                state.slots[action.slot].resting.reset();
                state.slots[action.slot].asked = false;
                break;
            case Do::close: seen.open = 0; break;
            case Do::keep_warm: put(action.slot, Phase::warm); break;
            case Do::retire: state.slots.erase(action.slot); break;
            case Do::finish: state.switched_at.reset(); break;
            case Do::revert:
                state.slots[action.slot].rejected = true;
                if (action.slot != state.stable) {
                    put(action.slot, Phase::draining);
                }
                want("old");
                break;
            case Do::stop: state.stopped = true; break;
            case Do::nothing: break;
        }
        return true;
    }
    std::vector<std::string> play_all() {
        log.clear();
        for (int i = 0; play(); ++i) {
            if (i > 200) {
                ADD_FAILURE() << "never ends";
                break;
            }
        }
        return log;
    }
};

Finding finding(Verdict verdict, Breach breach = Breach::rollback) {
    return {Measure::error_rate, verdict, 0.03, 0.02, 500, breach};
}

Player with_old() {
    Player out;
    out.want("old");
    out.play_all();
    return out;
}

using Log = std::vector<std::string>;

TEST(Rollout, TheFirstReleaseStartsIsCheckedAndServes) {
    Player player;
    player.want("one");
    EXPECT_EQ(player.play_all(), (Log{"start a", "check a", "promote a", "finish a"}));
    EXPECT_EQ(player.state.stable, "a");
}

TEST(Rollout, ChecksAreProvedOnceUsersAreOnItAndNotOnTheWayBack) {
    Player player = with_old();
    player.has_checks = true;
    player.want("new");
    while (player.state.slots["a"].phase != Phase::warm) {
        ASSERT_TRUE(player.play());
    }
    EXPECT_EQ(player.log, (Log{"start a", "check a", "promote a", "finish a", "start b", "check b",
                               "promote b", "prove b", "keep_warm a"}));
    player.want("old");
    player.play_all();
    EXPECT_EQ(std::ranges::find(player.log, "prove a"), player.log.end());
}

TEST(Rollout, BlueGreenSwitchesDrainsAndKeepsTheOldOneWarm) {
    Player player = with_old();
    player.want("new");
    player.seen.open = 3;
    EXPECT_EQ(player.play_all(), (Log{"start b", "check b", "promote b", "close a", "keep_warm a",
                                      "finish b", "retire a"}));
}

TEST(Rollout, ARollbackToAWarmReleaseIsOneStep) {
    Player player = with_old();
    player.want("new");
    while (player.state.slots["b"].phase != Phase::serving ||
           player.state.slots["a"].phase != Phase::warm) {
        ASSERT_TRUE(player.play());
    }
    player.want("old");
    player.log.clear();
    ASSERT_TRUE(player.play());
    EXPECT_EQ(player.log, (Log{"promote a"}));
    player.play_all();
    EXPECT_EQ(player.state.stable, "a");
}

TEST(Rollout, ARollbackDuringTheDrainToo) {
    Player player = with_old();
    player.seen.open = 1;
    player.want("new");
    while (player.state.stable != "b") {
        ASSERT_TRUE(player.play());
    }
    player.want("old");
    player.log.clear();
    ASSERT_TRUE(player.play());
    EXPECT_EQ(player.log, (Log{"promote a"}));
}

TEST(Rollout, ACanaryGoesInSteps) {
    Player player = with_old();
    player.policy.canary = {{10, seconds(60)}, {250, seconds(60)}};
    player.policy.gates = {{Measure::error_rate, 0.02, Breach::hold, 50}};
    player.seen.finding = finding(Verdict::pass);
    player.want("new");
    EXPECT_EQ(player.play_all(), (Log{"start b", "check b", "share b 10", "share b 250",
                                      "promote b", "keep_warm a", "finish b", "retire a"}));
}

TEST(Rollout, ABadCanaryGoesBackWithoutASwitch) {
    Player player = with_old();
    player.policy.canary = {{10, seconds(60)}};
    player.want("new");
    while (player.state.step < 0) {
        ASSERT_TRUE(player.play());
    }
    player.seen.finding = finding(Verdict::fail);
    EXPECT_EQ(player.play_all(), (Log{"revert b", "retire b"}));
    EXPECT_EQ(player.state.stable, "a");
    EXPECT_EQ(player.state.slots.count("b"), 0U);
}

TEST(Rollout, AnInconclusiveGateHoldsAndThenStops) {
    Player player = with_old();
    player.policy.canary = {{10, seconds(60)}};
    player.seen.finding = finding(Verdict::inconclusive);
    player.want("new");
    const WallTime before = player.seen.now;
    const Log log = player.play_all();
    EXPECT_EQ(log.back(), "stop b");
    EXPECT_GE(player.seen.now - before, player.policy.hold);
    EXPECT_EQ(player.state.stable, "a");
    EXPECT_EQ(player.state.slots["b"].phase, Phase::serving) << "people decide, both go on";
}

TEST(Rollout, TooFewRequestsAfterTheSwitchHoldNothingBack) {
    Player player = with_old();
    player.seen.finding = finding(Verdict::inconclusive);
    player.want("new");
    EXPECT_EQ(player.play_all().back(), "retire a");
    EXPECT_FALSE(player.state.stopped);
}

TEST(Rollout, ASourceThatDoesNotTellHoldsAfterTheSwitchToo) {
    Player player = with_old();
    player.seen.finding = finding(Verdict::inconclusive);
    player.seen.finding->why = "Prometheus does not answer";
    player.want("new");
    const WallTime before = player.seen.now;
    const Log log = player.play_all();
    EXPECT_EQ(std::count(log.begin(), log.end(), "stop b"), 1);
    EXPECT_EQ(std::count(log.begin(), log.end(), "finish b"), 0);
    EXPECT_GE(player.seen.now - before, player.policy.watch + player.policy.hold);
    EXPECT_EQ(player.state.stable, "b");
}

TEST(Rollout, AGateCanFailBeforeUsersAreOnIt) {
    for (const auto& [breach, end] :
         {std::pair(Breach::stop, "stop b"), std::pair(Breach::hold, "stop b"),
          std::pair(Breach::rollback, "revert b")}) {
        Player player = with_old();
        player.want("new");
        while (player.state.slots["b"].phase != Phase::ready) {
            ASSERT_TRUE(player.play());
        }
        player.seen.before = finding(Verdict::fail, breach);
        player.log.clear();
        const WallTime before = player.seen.now;
        while (player.log.empty()) {
            ASSERT_TRUE(player.play());
        }
        EXPECT_EQ(player.log.front(), end);
        EXPECT_EQ(player.seen.now - before >= player.policy.hold, breach == Breach::hold);
        EXPECT_EQ(player.state.stable, "a");
    }
}

TEST(Rollout, AGateAfterTheSwitchTakesTheReleaseBack) {
    Player player = with_old();
    player.want("new");
    while (player.state.stable != "b") {
        ASSERT_TRUE(player.play());
    }
    player.seen.finding = finding(Verdict::fail);
    player.log.clear();
    while (player.log.empty() || player.log.back() != "revert b") {
        ASSERT_TRUE(player.play());
    }
    player.seen.finding.reset();
    EXPECT_EQ(player.play_all(), (Log{"promote a", "retire b", "finish a"}));
    EXPECT_EQ(player.state.slots["a"].release, "old");
}

TEST(Rollout, ANewerReleaseSupersedesAHalfMadeOne) {
    Player player = with_old();
    player.want("new");
    while (player.state.slots["b"].phase != Phase::ready) {
        ASSERT_TRUE(player.play());
    }
    player.want("newer");
    const Log log = player.play_all();
    EXPECT_EQ(player.state.slots[player.state.stable].release, "newer");
    EXPECT_EQ(std::count(log.begin(), log.end(), "retire b"), 1);
    EXPECT_EQ(player.state.slots.size(), 1U);
}

TEST(Rollout, FullSlotsMakeRoomByTheLongestWarm) {
    Player player = with_old();
    player.policy.warm = std::chrono::hours(100);
    for (const char* release : {"two", "three"}) {
        player.want(release);
        player.log.clear();
        while (player.log.empty() || player.log.back().find("finish") != 0) {
            ASSERT_TRUE(player.play());
        }
        player.seen.now += seconds(600);
    }
    player.want("four");
    player.log.clear();
    ASSERT_TRUE(player.play());
    EXPECT_EQ(player.log, (Log{"retire a"}));
    ASSERT_TRUE(player.play());
    EXPECT_EQ(player.log.back(), "start a");
}

TEST(Rollout, AReleaseThatDoesNotStartLeavesTheOldOneServing) {
    Player player = with_old();
    player.unhealthy = true;
    player.want("new");
    EXPECT_EQ(player.play_all(), (Log{"start b", "retire b"}));
    EXPECT_EQ(player.state.stable, "a");
    EXPECT_EQ(player.state.slots["a"].phase, Phase::serving);
}

// Whatever stands, asking again without doing anything gives the same answer.
TEST(Rollout, WorkersRestOnceTheirReleaseIsLeft) {
    Player player = with_old();
    player.has_workers = true;
    player.working = {"a"};
    player.want("new");
    EXPECT_EQ(player.play_all(), (Log{"start b", "check b", "promote b", "rest a", "keep_warm a",
                                      "finish b", "retire a"}));
}

TEST(Rollout, AWorkerThatDoesNotFinishIsEndedAfterTheDrain) {
    Player player = with_old();
    player.has_workers = true;
    player.quick_jobs = false;
    player.working = {"a"};
    player.want("new");
    const WallTime began = player.seen.now;
    while (player.log.empty() || player.log.back() != "end a") {
        ASSERT_TRUE(player.play());
    }
    EXPECT_EQ(player.seen.now, began + player.policy.drain);
    EXPECT_EQ(player.play_all(), (Log{"keep_warm a", "finish b", "retire a"}));
}

TEST(Rollout, AWayBackStartsTheWorkersBeforeUsersCome) {
    Player player = with_old();
    player.has_workers = true;
    player.working = {"a"};
    player.policy.warm = std::chrono::hours(1000);
    player.want("new");
    while (player.log.empty() || player.log.back() != "keep_warm a") {
        ASSERT_TRUE(player.play());
    }
    player.log.clear();
    player.want("old");
    while (player.log.empty() || player.log.back() != "keep_warm b") {
        ASSERT_TRUE(player.play());
    }
    EXPECT_EQ(player.log, (Log{"rouse a", "promote a", "rest b", "keep_warm b"}));
}

TEST(Rollout, AReleaseThatFailedGoesWhenItsJobsAreDone) {
    Player player = with_old();
    player.has_workers = true;
    player.quick_jobs = false;
    player.working = {"a"};
    player.unhealthy = true;
    player.want("new");
    EXPECT_EQ(player.play_all(), (Log{"start b", "rest b", "end b", "retire b"}));
    EXPECT_EQ(player.working, std::set<std::string>{"a"});
}

TEST(Rollout, QueuesArePausedBeforeAReleaseStartsAndGoOnBeforeItIsChecked) {
    Player player = with_old();
    player.has_queues = true;
    player.want("new");
    const Log log = player.play_all();
    EXPECT_EQ(Log(log.begin(), log.begin() + 5),
              (Log{"drain ", "start b", "resume ", "check b", "promote b"}));
    EXPECT_FALSE(player.paused);
    // A way back to a warm release starts nothing, so nothing is paused.
    player.policy.warm = std::chrono::hours(1000);
    player.want("newer");
    while (player.log.back() != "finish a" && player.play()) {
    }
    player.want("new");
    for (const auto& line : player.play_all()) {
        EXPECT_NE(line, "drain ");
    }
}

TEST(Rollout, TheFirstReleaseHasNoQueuesToPause) {
    Player player;
    player.has_queues = true;
    player.want("one");
    EXPECT_EQ(player.play_all(), (Log{"start a", "check a", "promote a", "finish a"}));
}

TEST(Rollout, QueuesGoOnWhateverBecomesOfTheRelease) {
    // It does not start: want_previous() of the reconciler.
    Player player = with_old();
    player.has_queues = true;
    player.want("bad");
    ASSERT_TRUE(player.play());
    EXPECT_TRUE(player.paused);
    player.want("old");
    EXPECT_EQ(player.play_all(), (Log{"resume "}));
    // Stopped for people.
    player.want("bad");
    ASSERT_TRUE(player.play());
    player.state.stopped = true;
    EXPECT_EQ(player.play_all(), (Log{"resume "}));
    // Another one takes over: its own pause begins anew.
    player.want("bad");
    ASSERT_TRUE(player.play());
    player.want("newer");
    const Log log = player.play_all();
    EXPECT_EQ(Log(log.begin(), log.begin() + 3), (Log{"resume ", "drain ", "start b"}));
    EXPECT_FALSE(player.paused);
}

TEST(Rollout, AQueueThatCannotGoOnYetHoldsNobodyUp) {
    Player player = with_old();
    player.has_queues = true;
    player.resume_fails = 2;
    player.want("new");
    const Log log = player.play_all();
    EXPECT_EQ(Log(log.begin(), log.begin() + 5),
              (Log{"drain ", "start b", "resume ", "check b", "promote b"}));
    EXPECT_EQ(std::ranges::count(log, "resume "), 3);
    EXPECT_FALSE(player.paused);
}

TEST(Rollout, DecidesTheSameTwice) {
    Player player = with_old();
    player.want("new");
    do {
        const Action one = decide(player.policy, player.state, player.seen);
        const Action two = decide(player.policy, player.state, player.seen);
        EXPECT_EQ(one.what, two.what);
        EXPECT_EQ(one.slot, two.slot);
    } while (player.play());
}

}    // namespace
}    // namespace seatrial::release
