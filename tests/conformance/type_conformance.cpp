#include "conformance/type_conformance.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "base/names.h"
#include "conformance/child.h"
#include "crypto/crypto.h"

namespace seatrial::conformance {

std::string new_name(const std::string& text) {
    static std::atomic<int> count = 0;
    return make_name(
        instance, text,
        crypto::sha256_hex(std::to_string(::getpid()) + "." + std::to_string(++count)));
}

namespace {

using plan::Presence;

Context soon() {
    return Context().with_timeout(std::chrono::seconds(60));
}

class TypeConformance : public testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        subject_ = subjects().at(GetParam())("");
        before_ = subject_->census();
    }
    void TearDown() override {
        if (subject_ != nullptr) {
            expect_clean("the end");
        }
    }

    plan::Type& type() { return subject_->type(); }
    plan::Ref new_ref() const {
        return {std::string(subject_->type().name()), subject_->place(), new_name("Conf orm")};
    }
    plan::Observation observe(const plan::Ref& ref) {
        const auto seen = type().observe(ref, soon());
        EXPECT_TRUE(seen) << render_error(seen.error());
        return seen.value_or(plan::Observation{});
    }
    bool listed(const plan::Ref& ref) {
        const auto names = type().list(subject_->place(), soon());
        EXPECT_TRUE(names) << render_error(names.error());
        return names && std::count(names->begin(), names->end(), ref.name) == 1;
    }
    void create(const plan::Ref& ref, const nlohmann::json& spec) {
        const Status made = type().create(ref, spec, {}, soon());
        EXPECT_TRUE(made) << render_error(made.error());
    }
    void create(const plan::Ref& ref) { create(ref, subject_->spec(ref.name)); }
    void destroy(const plan::Ref& ref) {
        const auto removal = type().destroy(ref, soon());
        EXPECT_TRUE(removal) << render_error(removal.error());
        if (removal) {
            EXPECT_FALSE(removal->note.empty());
        }
        EXPECT_EQ(observe(ref).presence, Presence::absent);
    }
    void expect_ready(const plan::Ref& ref) {
        const auto seen = observe(ref);
        EXPECT_EQ(seen.presence, Presence::ready) << to_string(seen.presence) << seen.detail;
        EXPECT_EQ(seen.spec_hash, plan::spec_hash(subject_->spec(ref.name)));
        EXPECT_TRUE(listed(ref));
    }
    // What a killed client left on a server ends a moment later: waited for, within bounds.
    void expect_clean(const std::string& when) {
        const Context ctx = Context().with_timeout(std::chrono::seconds(20));
        std::string now = subject_->census();
        while (now != before_ && wait_for(std::chrono::milliseconds(20), ctx)) {
            now = subject_->census();
        }
        EXPECT_EQ(now, before_) << "something is left after " << when;
    }
    ChildRun child(const std::string& action, const plan::Ref& ref, const std::string& points) {
        return run_in_child(GetParam(), subject_->world(), action, ref.name, points);
    }
    // All points a clean run passes, each as NAME=ACTION@N.
    std::vector<std::string> arm_all(const std::vector<std::string>& hit,
                                     const std::string& action) {
        std::map<std::string, int> count;
        std::vector<std::string> armed;
        for (const std::string& point : hit) {
            armed.push_back(point + "=" + action + "@" + std::to_string(++count[point]));
        }
        return armed;
    }
    void expect_fired(const ChildRun& run, const std::string& armed) {
        EXPECT_EQ(run.fired, std::vector<std::string>{armed.substr(0, armed.find('='))})
            << armed << "\n"
            << run.output;
        EXPECT_NE(run.state, 0) << armed;
        if (armed.find("=kill") != std::string::npos) {
            EXPECT_TRUE(WIFSIGNALED(run.state) && WTERMSIG(run.state) == SIGKILL) << run.output;
        }
    }
    void sweep_create(const std::string& action);
    void sweep_destroy(const std::string& action);

    std::unique_ptr<Subject> subject_;
    std::string before_;
};

TEST_P(TypeConformance, LivesAndGoes) {
    const plan::Ref ref = new_ref();
    EXPECT_EQ(observe(ref).presence, Presence::absent);
    EXPECT_FALSE(listed(ref));
    create(ref);
    expect_ready(ref);
    const std::string made = subject_->census();
    EXPECT_NE(made, before_) << "the census does not see this type";
    create(ref);
    EXPECT_EQ(subject_->census(), made) << "done twice";
    expect_ready(ref);
    destroy(ref);
    EXPECT_FALSE(listed(ref));
    expect_clean("destroy");
    destroy(ref);
    create(ref);    // the name may be used again
    expect_ready(ref);
    destroy(ref);
}

TEST_P(TypeConformance, DestroyOfWhatNeverWasIsFine) {
    destroy(new_ref());
}

TEST_P(TypeConformance, ManyDoNotDisturbEachOther) {
    const plan::Ref one = new_ref();
    const plan::Ref other = new_ref();
    create(one);
    create(other);
    expect_ready(one);
    destroy(one);
    expect_ready(other);
    destroy(other);
}

TEST_P(TypeConformance, ChangesAsItSaysItDoes) {
    const plan::Ref ref = new_ref();
    const auto changed = subject_->changed_spec(ref.name);
    const std::string first = plan::spec_hash(subject_->spec(ref.name));
    ASSERT_NE(first, plan::spec_hash(changed));
    create(ref);
    const std::string made = subject_->census();
    switch (type().traits().on_change) {
        case plan::OnChange::keep:
            create(ref, changed);
            EXPECT_EQ(subject_->census(), made);
            expect_ready(ref);
            break;
        case plan::OnChange::replace:
            destroy(ref);
            create(ref, changed);
            EXPECT_EQ(observe(ref).spec_hash, plan::spec_hash(changed));
            break;
        case plan::OnChange::in_place:
            create(ref, changed);
            EXPECT_EQ(observe(ref).presence, Presence::ready);
            EXPECT_EQ(observe(ref).spec_hash, plan::spec_hash(changed));
            EXPECT_NE(subject_->census(), made);
            break;
    }
    destroy(ref);
}

TEST_P(TypeConformance, NeverTouchesWhatIsNotOurs) {
    const plan::Ref ref = new_ref();
    if (!subject_->make_foreign(ref.name)) {
        return;    // the subject says that nobody else can have such a name
    }
    EXPECT_EQ(observe(ref).presence, Presence::foreign);
    const Status made = type().create(ref, subject_->spec(ref.name), {}, soon());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::conflict) << render_error(made.error());
    const auto removal = type().destroy(ref, soon());
    ASSERT_FALSE(removal);
    EXPECT_EQ(removal.error().code, Code::conflict) << render_error(removal.error());
    EXPECT_TRUE(subject_->foreign_intact(ref.name));
    subject_->remove_foreign(ref.name);
}

TEST_P(TypeConformance, NamesThatWeDidNotMakeAreRefused) {
    const std::string longest(300, 'a');
    const std::vector<std::string> names = {
        "",
        "postgres",
        "st-other1-x-0123456789ab",
        "../../etc",
        "a'; DROP TABLE x; --",
        "\"x\"",
        "-rf",
        "$(reboot)",
        std::string("st-") + instance + "-../x",
        std::string("st-") + instance + "-a b",
        std::string("st-") + instance + "-" + longest,
        std::string("st-") + instance + "-a" + std::string(1, '\0') + "b"};
    for (const std::string& name : names) {
        const plan::Ref ref{std::string(type().name()), subject_->place(), name};
        EXPECT_FALSE(type().create(ref, subject_->spec(new_name("x")), {}, soon())) << name;
        EXPECT_FALSE(type().destroy(ref, soon())) << name;
        EXPECT_FALSE(type().observe(ref, soon())) << name;
    }
    expect_clean("refused names");
}

TEST_P(TypeConformance, CancelledMeansNothingDecided) {
    const plan::Ref ref = new_ref();
    CancelSource source;
    source.cancel();
    const Status made = type().create(ref, subject_->spec(ref.name), {}, source.context());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::cancelled);
    create(ref);
    expect_ready(ref);
    EXPECT_FALSE(type().destroy(ref, source.context()));
    destroy(ref);
}

// Fault at every point of create; then once create() again, once destroy() at once.
void TypeConformance::sweep_create(const std::string& action) {
    const plan::Ref clean = new_ref();
    const ChildRun first = child("create", clean, "");
    ASSERT_TRUE(first.ok()) << first.output;
    destroy(clean);
    ASSERT_GE(first.hit.size(), 2U) << "failpoints before and after the effect";
    std::set<std::string> known(first.hit.begin(), first.hit.end());
    for (const std::string& armed : arm_all(first.hit, action)) {
        SCOPED_TRACE(armed);
        const plan::Ref again = new_ref();
        expect_fired(child("create", again, armed), armed);
        EXPECT_NE(observe(again).presence, Presence::foreign);
        create(again);
        expect_ready(again);
        destroy(again);
        const plan::Ref gone = new_ref();
        expect_fired(child("create", gone, armed), armed);
        destroy(gone);
        expect_clean(armed);
        // The recovery has points of its own: a second fault there.
        const plan::Ref twice = new_ref();
        child("create", twice, armed);
        const ChildRun recovery = child("create", twice, "");
        EXPECT_TRUE(recovery.ok()) << recovery.output;
        destroy(twice);
        for (const std::string& point : recovery.hit) {
            if (known.insert(point).second) {
                const plan::Ref third = new_ref();
                child("create", third, armed);
                const std::string second = point + "=" + action + "@1";
                expect_fired(child("create", third, second), second);
                create(third);
                expect_ready(third);
                destroy(third);
            }
        }
    }
    expect_clean("the sweep");
}

void TypeConformance::sweep_destroy(const std::string& action) {
    const plan::Ref clean = new_ref();
    create(clean);
    const ChildRun first = child("destroy", clean, "");
    ASSERT_TRUE(first.ok()) << first.output;
    EXPECT_EQ(observe(clean).presence, Presence::absent);
    ASSERT_GE(first.hit.size(), 2U) << "failpoints before and after the effect";
    for (const std::string& armed : arm_all(first.hit, action)) {
        SCOPED_TRACE(armed);
        const plan::Ref ref = new_ref();
        create(ref);
        expect_fired(child("destroy", ref, armed), armed);
        EXPECT_NE(observe(ref).presence, Presence::foreign);
        destroy(ref);
        expect_clean(armed);
    }
}

TEST_P(TypeConformance, CreateSurvivesAnErrorAtEveryPoint) {
    sweep_create("error");
}

TEST_P(TypeConformance, CreateSurvivesAKillAtEveryPoint) {
    sweep_create("kill");
}

TEST_P(TypeConformance, DestroySurvivesAnErrorAtEveryPoint) {
    sweep_destroy("error");
}

TEST_P(TypeConformance, DestroySurvivesAKillAtEveryPoint) {
    sweep_destroy("kill");
}

std::vector<std::string> subject_names() {
    std::vector<std::string> names;
    for (const auto& [name, make] : subjects()) {
        names.push_back(name);
    }
    return names;
}

// Subjects are added before main(); gtest asks for the names inside it.
INSTANTIATE_TEST_SUITE_P(All, TypeConformance, testing::ValuesIn(subject_names()),
                         [](const auto& about) {
                             std::string name = about.param;
                             std::replace_if(
                                 name.begin(), name.end(),
                                 [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                             return name;
                         });

}    // namespace
}    // namespace seatrial::conformance
