"""Prints the mails of one IMAP mailbox as JSON, as a parser that this project did not write
understands them: every header decoded, every defect named, and which mails form one thread.

Usage: read_mail.py HOST PORT USER PASSWORD
"""

import email
import email.policy
import imaplib
import json
import sys


def fetch(host, port, user, password):
    """The raw mails, in the order in which the server took them."""
    client = imaplib.IMAP4(host, int(port), timeout=20)
    try:
        client.login(user, password)
        client.select("INBOX", readonly=True)
        _, found = client.search(None, "ALL")
        for number in found[0].split():
            _, answer = client.fetch(number, "(BODY.PEEK[])")
            yield answer[0][1]
    finally:
        client.logout()


def ids(value):
    return str(value or "").split()


def defects(message):
    """What is wrong with a mail, in its structure or in any of its headers."""
    for part in message.walk():
        yield from (repr(defect) for defect in part.defects)
        for name, value in part.items():
            yield from (f"{name}: {defect!r}" for defect in value.defects)


def body(message, kind):
    part = message.get_body(preferencelist=(kind,))
    return part.get_content() if part else None


def threads(mails):
    """Numbers the threads as mail programs do: mails that name one id belong together, and so do
    those that have one in common with either."""
    known = {}
    for mail in mails:
        own = [mail["message_id"], *mail["references"], *mail["in_reply_to"]]
        thread = min((known[i] for i in own if i in known), default=len(known))
        merged = {known[i] for i in own if i in known}
        for known_id, number in known.items():
            if number in merged:
                known[known_id] = thread
        known.update((i, thread) for i in own)
    for mail in mails:
        mail["thread"] = known[mail["message_id"]]


def main():
    mails = []
    for raw in fetch(*sys.argv[1:]):
        message = email.message_from_bytes(raw, policy=email.policy.default)
        mails.append({
            "message_id": str(message["Message-ID"]).strip(),
            "references": ids(message["References"]),
            "in_reply_to": ids(message["In-Reply-To"]),
            "subject": str(message["Subject"]),
            "sender": str(message["From"]),
            "to": [address.addr_spec for address in message["To"].addresses],
            "received": str(message["Received"]),
            "status": str(message["X-Alert-Status"]),
            "text": body(message, "plain"),
            "html": body(message, "html"),
            "seven_bit": raw.isascii(),
            "defects": list(defects(message)),
        })
    threads(mails)
    json.dump(mails, sys.stdout)


if __name__ == "__main__":
    main()
