#include "guard/sql.h"

#include <gtest/gtest.h>

#include "guard/sql_words.h"

namespace seatrial::guard {
namespace {

struct Case {
    const char* sql;
    Effect effect;
    const char* what = "";
};

class Judging : public ::testing::TestWithParam<Case> {};

TEST_P(Judging, Statement) {
    const auto findings = judge_sql(GetParam().sql);
    EXPECT_EQ(worst(findings), GetParam().effect) << GetParam().sql;
    if (GetParam().effect != Effect::expand && *GetParam().what != '\0') {
        ASSERT_FALSE(findings.empty());
        EXPECT_EQ(findings[0].what, GetParam().what);
    }
}

constexpr Effect expand = Effect::expand;
constexpr Effect slow = Effect::slow;
constexpr Effect unclear = Effect::unclear;
constexpr Effect contract = Effect::contract;

INSTANTIATE_TEST_SUITE_P(
    Expanding, Judging,
    ::testing::Values(Case{"", expand}, Case{"-- DROP TABLE a;\n", expand},
                      Case{"/* DROP TABLE a; /* nested */ TRUNCATE b; */", expand},
                      Case{"SELECT 'DROP TABLE a; DELETE FROM b'", expand},
                      Case{"SELECT E'it\\'s; DROP TABLE a'", expand},
                      Case{"INSERT INTO a VALUES ('it''s; DROP TABLE b')", expand},
                      Case{"CREATE TABLE a (id int NOT NULL, b text)", expand},
                      Case{"CREATE TABLE a (id int); CREATE INDEX ON a (id); ALTER TABLE a ADD "
                           "COLUMN x int NOT NULL; DELETE FROM a",
                           expand},
                      Case{"ALTER TABLE a ADD COLUMN b text", expand},
                      Case{"ALTER TABLE a ADD b int NOT NULL DEFAULT 0", expand},
                      Case{"ALTER TABLE a ADD COLUMN at timestamptz DEFAULT now()", expand},
                      Case{"CREATE INDEX CONCURRENTLY i ON a (b)", expand},
                      Case{"DROP INDEX CONCURRENTLY i", expand},
                      Case{"ALTER TABLE a ALTER COLUMN b DROP NOT NULL", expand},
                      Case{"ALTER TABLE a DROP CONSTRAINT c", expand},
                      Case{"ALTER TABLE a VALIDATE CONSTRAINT c", expand},
                      Case{"ALTER TYPE mood ADD VALUE 'calm'", expand},
                      Case{"UPDATE a SET b = 1 WHERE b IS NULL", expand},
                      Case{"SELECT * FROM a FOR UPDATE", expand},
                      Case{"INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 1", expand},
                      Case{"CREATE FUNCTION f() RETURNS void AS $$ DROP TABLE a; $$ LANGUAGE sql",
                           expand},
                      Case{"CREATE FUNCTION f() RETURNS void AS $x$ $$; DROP TABLE a $x$ "
                           "LANGUAGE sql",
                           expand},
                      Case{"COPY a FROM STDIN;\n1\tDROP TABLE a;\n\\.\nSELECT 1;", expand}));

INSTANTIATE_TEST_SUITE_P(
    Contracting, Judging,
    ::testing::Values(
        Case{"DROP TABLE a", contract, "DROP TABLE a"},
        Case{"drop table if exists public.\"Orders\" cascade", contract,
             "DROP table public.Orders"},
        Case{"/* x */ DROP /* y */ TABLE a", contract, "DROP TABLE a"},
        Case{"ALTER TABLE a DROP COLUMN IF EXISTS b", contract, "DROP COLUMN a.b"},
        Case{"ALTER TABLE ONLY a ADD COLUMN c text, DROP b", contract, "DROP COLUMN a.b"},
        Case{"ALTER TABLE a ADD COLUMN c numeric(10, 2), ALTER c TYPE int", contract,
             "ALTER COLUMN a.c TYPE"},
        Case{"ALTER TABLE a ALTER COLUMN b SET DATA TYPE text", contract},
        Case{"ALTER TABLE a ALTER b SET NOT NULL", contract, "ALTER COLUMN a.b SET NOT NULL"},
        Case{"ALTER TABLE a ADD COLUMN b int NOT NULL", contract,
             "ADD COLUMN a.b NOT NULL without DEFAULT"},
        Case{"ALTER TABLE a RENAME TO b", contract}, Case{"ALTER TABLE a RENAME b TO c", contract},
        Case{"ALTER INDEX i RENAME TO j", contract}, Case{"TRUNCATE a", contract, "TRUNCATE a"},
        Case{"TRUNCATE TABLE ONLY a", contract, "TRUNCATE a"},
        Case{"DELETE FROM a", contract, "DELETE FROM a"},
        Case{"DELETE FROM a USING (SELECT 1 WHERE true) AS b", contract},
        Case{"WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone WHERE true", contract},
        Case{"DROP VIEW v", contract}, Case{"DROP TYPE mood", contract},
        Case{"REVOKE ALL ON a FROM b", contract},
        Case{"SELECT 1;;; -- x\n; DROP SCHEMA s", contract, "DROP SCHEMA s"}));

INSTANTIATE_TEST_SUITE_P(
    SlowOrUnclear, Judging,
    ::testing::Values(Case{"CREATE INDEX i ON a (b)", slow, "CREATE INDEX on a"},
                      Case{"CREATE UNIQUE INDEX i ON ONLY a (b)", slow, "CREATE INDEX on a"},
                      Case{"DROP INDEX i", slow}, Case{"UPDATE a SET b = 1", slow, "UPDATE a"},
                      Case{"ALTER TABLE a ADD COLUMN b uuid DEFAULT gen_random_uuid()", slow},
                      Case{"ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (b) REFERENCES d", slow},
                      Case{"ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID", unclear},
                      Case{"VACUUM FULL a", slow}, Case{"REINDEX TABLE a", slow},
                      Case{"DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE a'; END $$", unclear, "DO"},
                      Case{"DELETE FROM a WHERE b", unclear},
                      Case{"CREATE OR REPLACE VIEW v AS SELECT 1", unclear},
                      Case{"EXPLAIN ANALYZE DELETE FROM a", unclear},
                      Case{"ALTER TABLE a ENABLE ROW LEVEL SECURITY", unclear},
                      Case{"\\i other.sql", unclear}, Case{"gibberish", unclear},
                      Case{"\"\" x", unclear, "a statement"}));

TEST(Judge, TellsTheLineOfEachFinding) {
    const auto findings = judge_sql(
        "-- one\nCREATE TABLE t (a int);\n\nALTER TABLE b\n  ADD COLUMN c int,\n"
        "  DROP COLUMN d;\n/* x\n */ TRUNCATE e;\n");
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0].line, 6);
    EXPECT_EQ(findings[1].line, 8);
}

TEST(Judge, WhatNeverEndsReachesToTheEnd) {
    for (const char* sql : {"SELECT 'x; DROP TABLE a", "SELECT $$ x; DROP TABLE a",
                            "/* DROP TABLE a", "SELECT \"x; DROP TABLE a", "$", "$1", "$a", "'"}) {
        EXPECT_NE(worst(judge_sql(sql)), Effect::contract) << sql;
    }
}

TEST(Judge, IsLinear) {
    std::string sql;
    for (int i = 0; i < 200'000; ++i) {
        sql += "DELETE FROM a (";
    }
    EXPECT_EQ(worst(judge_sql(sql)), Effect::contract);
}

}    // namespace
}    // namespace seatrial::guard
