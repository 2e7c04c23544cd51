"""Signs what is sent to the webhook as the provider does, so that it is read and not only refused."""

import hashlib
import hmac
import os
import time

import requests
import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    if "/webhooks/" not in case.path or case.method.upper() != "POST":
        return
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare().body or b""
    sent = sent.encode() if isinstance(sent, str) else sent
    if not isinstance(sent, bytes):
        return
    now = str(int(time.time()))
    signed = hmac.new(os.environ["CFA_WEBHOOK_SECRET"].encode(), now.encode() + b"." + sent, hashlib.sha256)
    case.headers["Stripe-Signature"] = f"t={now},v1={signed.hexdigest()}"
