"""AWS Secrets Manager by moto's server, with its checks of signatures and rights on. Run by the
Python that has moto (tests/requirements.txt); one line of JSON tells where it is and how to log in,
and it ends with its input.

    moto_store.py '{"shop/prd": {"NAME": "value"}}'
"""
import json
import sys
import urllib.request

import boto3
from moto.server import ThreadedMotoServer

REGION = "ap-northeast-2"
RIGHTS = {"Version": "2012-10-17",
          "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                         "Resource": "*"}]}


def make_user(iam, name, rights):
    iam.create_user(UserName=name)
    if rights:
        iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=json.dumps(RIGHTS))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    known = {"endpoint_url": url, "region_name": REGION, "aws_access_key_id": "set-up",
             "aws_secret_access_key": "set-up"}
    secrets = boto3.client("secretsmanager", **known)
    for name, value in json.loads(sys.argv[1]).items():
        text = value if isinstance(value, str) else json.dumps(value)
        secrets.create_secret(Name=name, SecretString=text)
    iam = boto3.client("iam", **known)
    users = {"reader": make_user(iam, "reader", True), "nobody": make_user(iam, "nobody", False)}
    # From here on everything is checked.
    urllib.request.urlopen(urllib.request.Request(
        f"{url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})).read()
    print(json.dumps({"url": url, "region": REGION, **users}), flush=True)
    sys.stdin.read()
    server.stop()


main()
