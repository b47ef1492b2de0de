#include "approval/approval.h"

#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/temp_dir.h"

namespace seatrial::approval {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const WallTime noon{std::chrono::milliseconds(1'800'000'000'000)};

std::optional<uid_t> known_users(const std::string& name) {
    const std::map<std::string, uid_t> users{{"alice", 1000}, {"bob", 1001}};
    const auto found = users.find(name);
    return found == users.end() ? std::nullopt : std::optional<uid_t>(found->second);
}

class Approvals : public ::testing::Test {
protected:
    void SetUp() override { open(); }
    void open() {
        records_.reset();
        auto opened = store::Records::open(dir_.path() / "records.db");
        ASSERT_TRUE(opened);
        records_ = std::move(*opened);
    }
    static Rules rules() { return {true, {"unix:alice", "uid:1001"}, true, 1h}; }
    static Asked asked(const std::string& digest, const std::string& env = "prd") {
        return {"deploy",
                "shop",
                env,
                "release-" + digest,
                digest,
                "uid:1000",
                "for the sale",
                json{{"tag", "1.0-" + digest}}.dump()};
    }
    Opened ask(const Asked& what, WallTime now = noon) {
        Opened out;
        const auto written =
            records_->write(sql::Durability::full, [&](store::Writer& writer) -> Status {
                TRY_ASSIGN(out, approval::ask(writer, what, rules(), now));
                return {};
            });
        EXPECT_TRUE(written) << (written ? "" : render_error(written.error()));
        return out;
    }
    Status decide(const std::string& id, bool yes, const std::string& digest,
                  WallTime now = noon + 1min, const std::string& reason = "seen") {
        return records_->write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            TRY_ASSIGN(const auto done, approval::decide(writer, {id, yes, "uid:1001", reason},
                                                         digest, R"({"life":"L"})", now));
            return {};
        });
    }
    std::string state(const std::string& id) {
        const auto found = records_->approval(id);
        return found && *found ? (*found)->state : "none";
    }
    json last_event(const std::string& id) {
        const auto events = records_->events(0, id, 100);
        return events && !events->empty() ? json::parse(events->back().data) : json();
    }

    test::TempDir dir_;
    std::unique_ptr<store::Records> records_;
};

TEST_F(Approvals, AreAskedForAndGiven) {
    const Opened opened = ask(asked("d1"));
    EXPECT_TRUE(opened.fresh);
    EXPECT_EQ(state(opened.approval.id), "open");
    EXPECT_EQ(opened.approval.expires_at, noon + 1h);
    EXPECT_EQ(last_event(opened.approval.id)["reason"], "for the sale");
    open();
    ASSERT_TRUE(decide(opened.approval.id, true, "d1"));
    const auto row = records_->approval(opened.approval.id).value();
    ASSERT_TRUE(row);
    EXPECT_EQ(row->state, "approved");
    EXPECT_EQ(row->decided_by, "uid:1001");
    EXPECT_EQ(row->decided_at, noon + 1min);
    const json event = last_event(opened.approval.id);
    EXPECT_EQ(event["state"], "approved");
    EXPECT_EQ(event["life"], "L");
    EXPECT_EQ(event["tag"], "1.0-d1");
}

TEST_F(Approvals, AreDecidedOnce) {
    const std::string id = ask(asked("d1")).approval.id;
    ASSERT_TRUE(decide(id, true, "d1"));
    for (const bool yes : {true, false}) {
        const auto again = decide(id, yes, "d1");
        ASSERT_FALSE(again);
        EXPECT_EQ(again.error().code, Code::conflict);
        EXPECT_NE(again.error().message.find("was approved"), std::string::npos);
        EXPECT_NE(again.error().message.find("uid:1001"), std::string::npos);
    }
    EXPECT_EQ(records_->events(0, id, 100)->size(), 2U) << "asked, approved";
}

TEST_F(Approvals, OfManyAtTheSameTimeOneDecides) {
    const std::string id = ask(asked("d1")).approval.id;
    std::atomic<int> taken = 0;
    std::vector<std::jthread> deciders;
    deciders.reserve(8);
    for (int i = 0; i < 8; ++i) {
        deciders.emplace_back([&, i] { taken += decide(id, i % 2 == 0, "d1") ? 1 : 0; });
    }
    deciders.clear();
    EXPECT_EQ(taken, 1);
}

TEST_F(Approvals, ARejectionNeedsAReason) {
    const std::string id = ask(asked("d1")).approval.id;
    const auto bare = decide(id, false, "", noon + 1min, "");
    ASSERT_FALSE(bare);
    EXPECT_EQ(bare.error().code, Code::invalid);
    ASSERT_TRUE(decide(id, false, "", noon + 1min, "not before the sale"));
    EXPECT_EQ(state(id), "rejected");
    EXPECT_EQ(last_event(id)["decision_reason"], "not before the sale");
}

TEST_F(Approvals, AllowWhatWasAskedForOnly) {
    const std::string id = ask(asked("d1")).approval.id;
    const auto other = decide(id, true, "d2");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, Code::refused);
    EXPECT_EQ(state(id), "open");
}

TEST_F(Approvals, EndByThemselves) {
    const std::string id = ask(asked("d1")).approval.id;
    const auto late = decide(id, true, "d1", noon + 1h);
    ASSERT_FALSE(late) << "before anybody has looked at the clock";
    EXPECT_EQ(late.error().code, Code::conflict);
    EXPECT_NE(late.error().message.find("expired"), std::string::npos);
    EXPECT_EQ(records_->next_approval_expiry().value(), noon + 1h);
    ASSERT_TRUE(records_->write(sql::Durability::full, [&](store::Writer& writer) {
        return expire(writer, noon + 59min);
    }));
    EXPECT_EQ(state(id), "open");
    ASSERT_TRUE(records_->write(sql::Durability::full,
                                [&](store::Writer& writer) { return expire(writer, noon + 1h); }));
    EXPECT_EQ(state(id), "expired");
    EXPECT_EQ(last_event(id)["state"], "expired");
    EXPECT_FALSE(records_->next_approval_expiry().value().has_value());
    EXPECT_FALSE(decide(id, true, "d1", noon + 2h));
}

TEST_F(Approvals, OfTheSameContentAreOneRequest) {
    const Opened first = ask(asked("d1"));
    const Opened same = ask(asked("d1"), noon + 1min);
    EXPECT_FALSE(same.fresh);
    EXPECT_EQ(same.approval.id, first.approval.id);
    ASSERT_TRUE(decide(first.approval.id, true, "d1"));
    const Opened later = ask(asked("d1"), noon + 2min);
    EXPECT_TRUE(later.fresh) << "a yes is spent by what it started";
    EXPECT_NE(later.approval.id, first.approval.id);
    const Opened overdue = ask(asked("d1"), noon + 3h);
    EXPECT_TRUE(overdue.fresh);
    EXPECT_EQ(state(later.approval.id), "expired");
}

TEST_F(Approvals, AreSupersededByNewerOnesOfTheSamePlace) {
    const std::string old = ask(asked("d1")).approval.id;
    const std::string elsewhere = ask(asked("d1", "stg")).approval.id;
    const std::string newer = ask(asked("d2")).approval.id;
    EXPECT_EQ(state(old), "superseded");
    EXPECT_EQ(state(elsewhere), "open");
    const auto late = decide(old, true, "d1");
    ASSERT_FALSE(late);
    EXPECT_NE(late.error().message.find("superseded"), std::string::npos);
    ASSERT_TRUE(records_->write(sql::Durability::full, [&](store::Writer& writer) {
        return supersede(writer, "shop", "prd", "uid:0", "", noon + 1min);
    }));
    EXPECT_EQ(state(newer), "superseded");
    EXPECT_EQ(state(elsewhere), "open");
}

TEST_F(Approvals, UnknownOnesAreSaid) {
    const auto unknown = decide("01HZZ", true, "d1");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::not_found);
}

TEST(WhoMayDecide, IsInTheRules) {
    store::Approval approval;
    approval.env = "prd";
    approval.asked_by = "uid:1000";
    Rules rules{true, {"unix:alice", "uid:1001", "unix:nobody-here", "slack:U1"}, true, 1h};
    const auto may = [&](const std::string& actor, bool yes = true) {
        return check_may_decide(rules, approval, {"", yes, actor, "x"}, known_users).has_value();
    };
    EXPECT_TRUE(may("uid:1000"));
    EXPECT_TRUE(may("uid:1001"));
    EXPECT_FALSE(may("uid:0")) << "a list is a list: root is not on it";
    EXPECT_FALSE(may("slack:U1"));
    EXPECT_FALSE(may("timer"));
    EXPECT_FALSE(may("uid:"));
    EXPECT_FALSE(may("uid:1001x"));
    rules.self = false;
    EXPECT_FALSE(may("uid:1000"));
    EXPECT_TRUE(may("uid:1000", false)) << "one may take one's own request back";
    EXPECT_TRUE(may("uid:1001"));
    EXPECT_FALSE(may("uid:1002", false));
}

TEST(WhoMayDecide, NobodyIsSaidAtOnce) {
    Rules rules{true, {"slack:U1", "unix:gone"}, true, 1h};
    const auto nobody = check_possible(rules, "uid:1000", known_users);
    ASSERT_FALSE(nobody);
    EXPECT_NE(nobody.error().message.find("slack:U1"), std::string::npos);
    rules.approvers = {"unix:alice"};
    EXPECT_TRUE(check_possible(rules, "uid:1000", known_users));
    rules.self = false;
    EXPECT_FALSE(check_possible(rules, "uid:1000", known_users));
    EXPECT_TRUE(check_possible(rules, "uid:1001", known_users));
    EXPECT_TRUE(check_possible(rules, "push", known_users));
}

}    // namespace
}    // namespace seatrial::approval
