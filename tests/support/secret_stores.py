"""Doubles of Doppler and Vault for the tests: as strict as the real ones about what they are asked,
and able to fail in every way that the real ones can."""
import http.server
import json
import threading
import urllib.parse


class Store:
    """A server on 127.0.0.1. `fault` is what it does instead of answering: a status, "cut" (ends
    half-way), "nonsense", or a list of them, one a request."""

    def __init__(self):
        self.fault, self.retry_after, self.asked, self.wrong = None, "1", 0, []
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                store.asked += 1
                fault = store.fault
                if isinstance(fault, list):
                    fault = fault.pop(0) if fault else None
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query, strict_parsing=bool(url.query)))
                status, answer = store.answer(self.command, url.path, query, self.headers, body)
                if isinstance(fault, int):
                    status, answer = fault, store.refusal(fault)
                text = b"<html>s3cr3t-page</html>" if fault == "nonsense" else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status == 429:
                    self.send_header("Retry-After", store.retry_after)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if fault == "cut":
                    self.wfile.write(text[:len(text) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(text)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def complain(self, what):
        """The test looks at `wrong`: nothing that is not allowed may ever be asked."""
        self.wrong.append(what)
        return 400, self.refusal(400)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Doppler(Store):
    """`configs`: (project, config) to its values; `token` reads all of them."""

    def __init__(self, token):
        self.token, self.configs = token, {}
        super().__init__()

    @staticmethod
    def refusal(status):
        return {"messages": [f"refused with {status}: s3cr3t-message"], "success": False}

    def answer(self, method, path, query, headers, body):
        if method != "GET" or path != "/v3/configs/config/secrets/download" or body:
            return self.complain(f"{method} {path}")
        if set(query) != {"project", "config", "format"} or query["format"] != "json":
            return self.complain(f"query {query}")
        if headers.get("Accept") != "application/json":
            return self.complain(f"Accept {headers.get('Accept')}")
        if self.token in path or self.token in str(query):
            return self.complain("the token stands in the URL")
        if headers.get("Authorization") != f"Bearer {self.token}":
            return 401, self.refusal(401)
        values = self.configs.get((query["project"], query["config"]))
        if values is None:
            return 404, self.refusal(404)
        return 200, {**values, "DOPPLER_PROJECT": query["project"],
                     "DOPPLER_CONFIG": query["config"], "DOPPLER_ENVIRONMENT": query["config"]}


class Vault(Store):
    """KV engines `secret` (version 2) and `kv` (version 1) in one namespace; `secrets`: by the path
    without engine. `token`, or `role` = (role id, secret id), reads them."""

    def __init__(self, token, role, namespace=None):
        self.token, self.role, self.namespace = token, role, namespace
        self.secrets, self.sealed, self.issued = {}, False, []
        super().__init__()

    @staticmethod
    def refusal(status):
        return {"errors": [f"refused with {status}: s3cr3t-message"]}

    def answer(self, method, path, query, headers, body):
        if headers.get("X-Vault-Request") != "true":
            return self.complain("X-Vault-Request is missing")
        if headers.get("X-Vault-Namespace") != self.namespace:
            return self.complain(f"namespace {headers.get('X-Vault-Namespace')}")
        if query or self.token in path:
            return self.complain(f"query {query}, path {path}")
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path == "/v1/auth/approle/login" and method == "POST":
            return self.log_in(json.loads(body))
        if method != "GET" or body or not path.startswith("/v1/"):
            return self.complain(f"{method} {path}")
        if headers.get("X-Vault-Token") not in (self.token, *self.issued):
            return 403, {"errors": ["permission denied"]}
        engine, _, rest = path.removeprefix("/v1/").partition("/")
        if engine == "secret" and rest.startswith("data/"):
            values = self.secrets.get(rest.removeprefix("data/"))
            data = {"data": values, "metadata": {"version": 3, "destroyed": False,
                                                 "deletion_time": "", "custom_metadata": None}}
        elif engine == "kv":
            values = data = self.secrets.get(rest)
        else:
            values = data = None
        if values is None:
            return 404, {"errors": []}
        return 200, {"request_id": "1", "lease_id": "", "renewable": False, "lease_duration": 0,
                     "data": data, "wrap_info": None, "warnings": None, "auth": None}

    def log_in(self, asked):
        if set(asked) != {"role_id", "secret_id"}:
            return self.complain("login")
        if (asked["role_id"], asked["secret_id"]) != self.role:
            return 400, {"errors": ["invalid role or secret ID"]}
        self.issued.append(f"hvs.issued{len(self.issued)}")
        return 200, {"auth": {"client_token": self.issued[-1], "lease_duration": 1200}, "data": None}
