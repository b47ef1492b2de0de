#include <gmock/gmock.h>

#include "config/init_fixture.h"

namespace seatrial::config {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST_F(Init, NpmWithScriptsForWebAndApi) {
    const App app = inspect({
        {"package.json", R"({"name":"@acme/shop","scripts":{"dev:web":"node web/server.js",
          "dev:api":"node api/server.js","db:migrate":"node migrate.js"},"dependencies":{"pg":"8"}})"},
        {"package-lock.json", "{}"},
        {".npmrc", ""},
        {"api/server.js", "if (url === '/healthz')"},
    });
    EXPECT_EQ(app.name, "shop");
    EXPECT_THAT(names(app), ElementsAre("web", "api"));
    EXPECT_EQ(app.components[0].run.text, "node web/server.js");
    EXPECT_EQ(app.components[0].port, "WEB_PORT");
    EXPECT_EQ(app.components[1].health->path, "/healthz");
    EXPECT_EQ(app.install->run.text, "npm ci --no-audit --no-fund");
    EXPECT_THAT(app.install->key, ElementsAre("package-lock.json", ".npmrc"));
    EXPECT_THAT(app.install->keep, ElementsAre("node_modules"));
    EXPECT_EQ(app.migrate->run.text, "npm run db:migrate");
    EXPECT_EQ(app.database.engine, DatabaseEngine::postgres);
    EXPECT_EQ(app.database.source, "");
}

TEST_F(Init, PnpmWorkspaceWithNextPrismaComposeAndExampleFile) {
    const App app = inspect({
        {"package.json",
         R"({"name":"rtb","packageManager":"pnpm@9.1.0","scripts":{"dev":"turbo dev"},
          "devDependencies":{"turbo":"2"}})"},
        {"pnpm-lock.yaml", ""},
        {"pnpm-workspace.yaml", "packages:\n  - apps/*\n  - packages/*\n"},
        {"apps/web/package.json", R"({"name":"web","scripts":{"dev":"next dev --turbo -p 3000"},
          "dependencies":{"next":"15"}})"},
        {"apps/api/package.json", R"({"name":"api","scripts":{"dev":"tsx watch src/index.ts"},
          "dependencies":{"express":"4"}})"},
        {"apps/api/src/index.ts", "app.get('/health', ...)"},
        {"packages/ui/package.json", R"({"name":"ui","scripts":{"dev":"tsup --watch"}})"},
        {"packages/db/package.json", R"({"name":"db","scripts":{"db:migrate":"prisma migrate dev"},
          "dependencies":{"prisma":"6","@prisma/client":"6"}})"},
        {"packages/db/prisma/schema.prisma",
         "generator client { provider = \"prisma-client-js\" }\n"
         "datasource db {\n  provider = \"postgresql\"\n  url = env(\"APP_DATABASE_URL\")\n}\n"},
        {"packages/db/prisma/migrations/1_init/migration.sql", ""},
        {"docker-compose.yml",
         "services:\n  db:\n    image: docker.io/library/postgres:16\n    environment:\n"
         "      POSTGRES_DB: ${DB:-rtb_dev}\n  cache:\n    image: redis:7\n"},
        {".env.example",
         "APP_DATABASE_URL=postgres://u:hunter2@localhost:5432/rtb_dev\nPORT=3000\nAPI_PORT=4000\n"
         "NEXT_PUBLIC_API_URL=http://localhost:4000/v1\nSESSION_SECRET=hunter2\nSTRIPE_KEY=\n"
         "LOG_LEVEL=debug # or info\nOPAQUE=9f86d081884c7d659a2feaa0c55ad015\nNAME=\"a: b\"\n"
         "REDIS_URL=redis://:hunter2@localhost:6379\n"},
    });
    EXPECT_THAT(names(app), ElementsAre("api", "web"));
    EXPECT_EQ(app.components[1].cwd, "apps/web");
    EXPECT_EQ(app.components[1].run.text, "pnpm exec next dev --turbo -p $WEB_PORT -H 127.0.0.1");
    EXPECT_EQ(app.components[1].health->path, "/");
    EXPECT_EQ(app.components[0].run.text, "pnpm run dev");
    EXPECT_EQ(app.components[0].health->path, "/health");
    EXPECT_THAT(app.install->key, ElementsAre("pnpm-lock.yaml", "pnpm-workspace.yaml"));
    EXPECT_THAT(app.install->keep,
                ElementsAre("node_modules", "apps/*/node_modules", "packages/*/node_modules"));
    EXPECT_EQ(app.migrate->run.text, "cd packages/db && pnpm exec prisma migrate deploy");
    EXPECT_EQ(app.database.url, "APP_DATABASE_URL");
    EXPECT_EQ(app.database.source, "rtb_dev");
    std::map<std::string, EnvRule> env;
    for (const auto& rule : app.env) {
        env[rule.name] = rule;
    }
    EXPECT_FALSE(env.contains("APP_DATABASE_URL") || env.contains("PORT") ||
                 env.contains("API_PORT"));
    EXPECT_EQ(env.at("NEXT_PUBLIC_API_URL").value, "${API_URL}/v1");
    EXPECT_EQ(env.at("LOG_LEVEL").value, "debug");
    EXPECT_EQ(env.at("NAME").value, "a: b");
    for (const char* name : {"SESSION_SECRET", "STRIPE_KEY", "OPAQUE", "REDIS_URL"}) {
        EXPECT_TRUE(env.at(name).secret && env.at(name).required) << name;
        EXPECT_EQ(env.at(name).value, std::nullopt) << name;
    }
    EXPECT_THAT(findings_.yaml, Not(HasSubstr("hunter2")));
    EXPECT_THAT(findings_.notes, Contains("pnpm workspace, packages: 4"));
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("Redis")));
}

TEST_F(Init, YarnClassicWithVite) {
    const App app = inspect({{"package.json", R"({"name":"site","scripts":{"dev":"vite"},
                                "devDependencies":{"vite":"6"}})"},
                             {"yarn.lock", "# yarn lockfile v1\n"}});
    EXPECT_EQ(app.components[0].run.text,
              "yarn run vite --port $WEB_PORT --strictPort --host 127.0.0.1");
    EXPECT_EQ(app.install->run.text, "yarn install --frozen-lockfile");
    EXPECT_EQ(app.database.engine, DatabaseEngine::none);
}

TEST_F(Init, YarnBerryAvoidsPlugAndPlay) {
    const App app = inspect({{"package.json", R"({"name":"site","packageManager":"yarn@4.1.0",
        "workspaces":{"packages":["apps/**"]}})"},
                             {"apps/one/web/package.json", R"({"dependencies":{"astro":"4"}})"},
                             {"yarn.lock", "__metadata:\n  version: 8\n"},
                             {".yarnrc.yml", "yarnPath: x\n"}});
    EXPECT_EQ(app.components[0].run.text,
              "npx --no-install astro dev --port $WEB_PORT --host 127.0.0.1");
    EXPECT_EQ(app.install->run.text, "YARN_NODE_LINKER=node-modules yarn install --immutable");
    EXPECT_THAT(app.install->keep, ElementsAre("node_modules", "apps/one/*/node_modules"));
    EXPECT_THAT(findings_.yaml, HasSubstr("Plug'n'Play"));
}

TEST_F(Init, SingleServerAndFrontEndsThatReadPort) {
    App app = inspect({{"package.json", R"({"scripts":{"start":"node dist/main.js",
        "dev":"nodemon server.js","worker":"node worker.js"},"dependencies":{"fastify":"5",
        "better-sqlite3":"11"}})"}});
    EXPECT_EQ(app.name, "shop");
    EXPECT_THAT(names(app), ElementsAre("web", "worker"));
    EXPECT_EQ(app.components[0].run.text, "npm run dev");
    EXPECT_EQ(app.components[1].port, "");
    EXPECT_THAT(app.install->key, ElementsAre("package.json"));
    EXPECT_EQ(app.database.engine, DatabaseEngine::sqlite);
    EXPECT_EQ(app.database.file, "data/preview.db");
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("package-lock.json is missing")));

    app = inspect({{"package.json", R"({"scripts":{"start":"react-scripts start"},
        "dependencies":{"react-scripts":"5"}})"}});
    EXPECT_EQ(app.components[0].run.text, "npx --no-install react-scripts start");
    EXPECT_EQ(app.components[0].env.at("BROWSER"), "none");
}

TEST_F(Init, FoldersThatMayNotComeIntoBeingAreKeptByPattern) {
    App app = inspect({{"package.json", R"({"workspaces":["web","api"]})"},
                       {"package-lock.json", "{}"},
                       {"web/package.json", R"({"dependencies":{"vite":"6"}})"},
                       {"api/package.json", R"({"dependencies":{"express":"4"},
                          "scripts":{"start":"node index.js"}})"}});
    EXPECT_THAT(names(app), ElementsAre("web", "api"));
    EXPECT_THAT(app.install->keep, ElementsAre("node_modules", "*/node_modules"));
    std::filesystem::remove_all(root_);
    app = inspect({{"package.json", R"({"scripts":{"start":"node server.js"}})"},
                   {"package-lock.json", "{}"}});
    EXPECT_FALSE(app.install.has_value());
}

TEST_F(Init, KnexAndDrizzleMigrate) {
    App app = inspect({{"package.json", R"({"scripts":{"start":"node server.js"},
        "dependencies":{"koa":"2","knex":"3","pg":"8"}})"}});
    EXPECT_EQ(app.migrate->run.text, "npx --no-install knex migrate:latest");
    app = inspect({{"package.json", R"({"scripts":{"start":"node server.js"},
        "dependencies":{"koa":"2","postgres":"3"},"devDependencies":{"drizzle-kit":"0.3"}})"}});
    EXPECT_EQ(app.migrate->run.text, "npx --no-install drizzle-kit migrate");
}

TEST_F(Init, PrismaOnSqlite) {
    const App app =
        inspect({{"package.json", R"({"dependencies":{"next":"15","prisma":"6"}})"},
                 {"package-lock.json", "{}"},
                 {"prisma/schema.prisma",
                  "datasource db {\n  provider = \"sqlite\"\n  url = \"file:./dev.db\"\n}\n"},
                 {"prisma/dev.db", "x"}});
    EXPECT_EQ(app.database.engine, DatabaseEngine::sqlite);
    EXPECT_EQ(app.database.file, "prisma/dev.db");
    EXPECT_EQ(app.database.source, "prisma/dev.db");
    EXPECT_EQ(app.migrate->run.text, "npx --no-install prisma db push --skip-generate");
}

TEST_F(Init, DjangoWithPip) {
    const App app = inspect(
        {{"requirements.txt", "Django==5.0\npsycopg[binary]>=3\n-r requirements/prod.txt\n"},
         {"requirements/prod.txt", "gunicorn\n"},
         {"manage.py", ""},
         {"shop/settings.py", "'ENGINE': 'django.db.backends.postgresql'"}});
    EXPECT_EQ(app.components[0].run.text,
              ".venv/bin/python manage.py runserver --noreload 127.0.0.1:$WEB_PORT");
    EXPECT_EQ(app.migrate->run.text, ".venv/bin/python manage.py migrate --noinput");
    EXPECT_EQ(app.install->run.text,
              "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt");
    EXPECT_THAT(app.install->key, ElementsAre("requirements.txt", "requirements/prod.txt"));
    EXPECT_THAT(app.install->keep, ElementsAre(".venv"));
    EXPECT_EQ(app.database.engine, DatabaseEngine::postgres);
    EXPECT_THAT(findings_.yaml, HasSubstr("the scripts in .venv/bin do not"));
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("DATABASE_URL")));
}

TEST_F(Init, FastApiWithUvAndAlembicInASourceFolder) {
    const App app = inspect(
        {{"pyproject.toml",
          "[project]\nname = \"shop\"\ndependencies = [\"fastapi\", \"asyncpg\"]\n"},
         {"uv.lock", ""},
         {"alembic.ini", ""},
         {"src/shop/main.py", "api: FastAPI = FastAPI(title='x')\n@api.get(\"/healthz\")\n"}});
    EXPECT_EQ(app.components[0].name, "api");
    EXPECT_EQ(app.components[0].run.text,
              ".venv/bin/python -m uvicorn shop.main:api --host 127.0.0.1 --port $API_PORT");
    EXPECT_EQ(app.components[0].env.at("PYTHONPATH"), "src");
    EXPECT_EQ(app.components[0].health->path, "/healthz");
    EXPECT_THAT(app.install->run.text, HasSubstr("uv sync --frozen --no-install-project"));
    EXPECT_THAT(app.install->key, ElementsAre("uv.lock"));
    EXPECT_EQ(app.migrate->run.text, ".venv/bin/python -m alembic upgrade head");
}

TEST_F(Init, FlaskWithPoetry) {
    const App app = inspect({{"pyproject.toml",
                              "[tool.poetry]\nname = \"x\"\n[tool.poetry."
                              "dependencies]\nflask = \"3\"\nflask-migrate = \"4\"\n"},
                             {"poetry.lock", ""},
                             {"shop/__init__.py", "def create():\n    app = Flask(__name__)\n"}});
    EXPECT_EQ(app.components[0].run.text,
              ".venv/bin/python -m flask --app shop run --host 127.0.0.1 --port $WEB_PORT");
    EXPECT_THAT(app.install->run.text, HasSubstr("poetry install --no-root"));
    EXPECT_EQ(app.migrate->run.text, ".venv/bin/python -m flask --app shop db upgrade");
}

TEST_F(Init, PyprojectAloneIsInstalledWithoutTheProjectItself) {
    const App app = inspect(
        {{"pyproject.toml", "[project]\nname = \"shop\"\n"}, {"app.py", "app = FastAPI()\n"}});
    EXPECT_EQ(app.install->run.text,
              "python3 -m venv .venv && .venv/bin/python -m pip install . && "
              ".venv/bin/python -m pip uninstall --yes shop");
}

TEST_F(Init, FrontEndAndBackEndSideBySide) {
    const App app = inspect({{"frontend/package.json", R"({"dependencies":{"vite":"6"}})"},
                             {"frontend/package-lock.json", "{}"},
                             {"backend/requirements.txt", "fastapi\n"},
                             {"backend/app/main.py", "app = FastAPI()\n"},
                             {"docs/package.json", R"({"dependencies":{"next":"1"}})"}});
    EXPECT_THAT(names(app), ElementsAre("frontend", "api"));
    EXPECT_EQ(app.components[0].cwd, "frontend");
    EXPECT_EQ(app.components[1].cwd, "backend");
    EXPECT_EQ(app.components[1].run.text,
              ".venv/bin/python -m uvicorn app.main:app --host 127.0.0.1 --port $API_PORT");
    EXPECT_EQ(app.install->run.text,
              "(cd frontend && npm ci --no-audit --no-fund) && (cd backend && python3 -m venv "
              ".venv && .venv/bin/python -m pip install -r requirements.txt)");
    EXPECT_THAT(app.install->keep, ElementsAre("frontend/node_modules", "backend/.venv"));
    EXPECT_THAT(app.install->key,
                ElementsAre("frontend/package-lock.json", "backend/requirements.txt"));
}

TEST_F(Init, ProcfileStaticSiteAndNothingAtAll) {
    App app = inspect({});
    EXPECT_THAT(names(app), ElementsAre("web"));
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("how does the app start?")));
    app = inspect({{"index.html", "<p>"}});
    EXPECT_EQ(app.components[0].run.text, "python3 -m http.server --bind 127.0.0.1 $WEB_PORT");
    app =
        inspect({{"Procfile", "web: ruby app.rb -p $PORT\nworker: ruby w.rb\nrelease: x\nBAD\n"}});
    EXPECT_THAT(names(app), ElementsAre("web", "worker"));
    EXPECT_EQ(app.components[0].run.text, "ruby app.rb -p $PORT");
}

TEST_F(Init, HostileRepositoriesGiveAValidFileOrNothing) {
    std::string deep(900'000, '[');
    std::string objects;
    for (int i = 0; i < 100'000; ++i) {
        objects += "{\"a\":";
    }
    inspect({{"package.json", "{\"scripts\": " + deep}});
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("cannot be read as JSON")));
    inspect({{"package.json", "{\"scripts\": " + objects + "1" + std::string(100'000, '}') + "}"}});
    inspect({{"package.json",
              "{\"scripts\": " + std::string(400'000, '[') + std::string(400'000, ']') + "}"}});
    inspect({{"package.json", std::string(2 << 20, ' ')}});
    inspect({{"package.json", R"({"name": 5, "scripts": {"dev": 7, "start": "next; rm -rf /"},
        "dependencies": ["x"], "workspaces": ["../../*", "/etc/*", "!x", 9, "a b/*", "**"]})"}});
    inspect({{"package.json", R"x({"name": "\u202e\n: - #", "scripts": {"dev": "next dev $(id)"},
        "dependencies": {"next": "1"}})x"}});
    EXPECT_THAT(findings_.yaml, Not(HasSubstr("$(id)")));
    inspect({{".env.example", "A='x: #\"\\'\nB=\"${C}\"\nC=\xff\n"}});
    inspect({{".env.example", "A=\"x: # \\\" y\"\nTPL=${OTHER}\nTILDE=~\nN=null\nD='- x'\nE=@x\n"},
             {"docker-compose.yml", "services: [1, {a: b}]\n"}});
    inspect({{"docker-compose.yml", "a: &a [*a]\n"}});
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("docker-compose.yml cannot be read")));
    inspect({{"apps with space/package.json", "{}"}, {"-x/requirements.txt", "fastapi"}});
}

TEST_F(Init, LinksAndPipesAreNotFollowed) {
    std::filesystem::create_directory(folder_ / "outside");
    std::ofstream(folder_ / "outside/package.json") << R"({"name":"stolen"})";
    std::filesystem::create_symlink(folder_ / "outside/package.json", root_ / "package.json");
    std::filesystem::create_directory_symlink(folder_ / "outside", root_ / "frontend");
    ASSERT_EQ(::mkfifo((root_ / "Procfile").c_str(), 0600), 0);
    const App app = inspect({});
    EXPECT_EQ(app.name, "shop");
    EXPECT_THAT(findings_.yaml, Not(HasSubstr("stolen")));
    EXPECT_EQ(inspect_repository(folder_ / "absent").error().code, Code::not_found);
}

}    // namespace
}    // namespace seatrial::config
