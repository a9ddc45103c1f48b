//! One wrong key, type and value for each section: each is reported at its line, with the fix.

use super::*;

/// Each text has one mistake, in the line that ends in `#!`.
const WRONG: &[&str] = &[
    // The document.
    "receivrs: [] #!\n",
    "operators: [ops] #!\n",
    "operators: opps #!\n",
    "route: {receiver: ops}\nroute: {receiver: ops} #!\n",
    "listen: 9095 #!\n",
    "store: postgres://user:hunter2@db/x #!\n",
    "external_url: ftp://example.com #!\n",
    "time_zone: Asia/Shangai #!\n",
    "language: de #!\n",
    "auth: {} #!\n",
    "auth: #!\n",
    "auth: {bearer_token: \"令牌\"} #!\n",
    "auth: {bearer_token: x, token: y} #!\n",
    "auth: {bearer_token: \"${NOWHERE}\"} #!\n",
    "inhibit_rules: [] #!\n",
    // global
    "global:\n  smtp_form: a@example.com #!\n",
    "global:\n  smtp_require_tls: maybe #!\n",
    "global:\n  smtp_from: nobody #!\n",
    "global:\n  smtp_smarthost: smtp.example.com:smtp #!\n",
    "global:\n  smtp_auth_password: a\n  smtp_auth_password_file: b #!\n",
    "global:\n  smtp_auth_password_file: nowhere #!\n",
    "global:\n  wechat_api_url: qyapi.weixin.qq.com #!\n",
    // route
    "route: [] #!\n",
    "route:\n  receiver: ops\n  groupby: [a] #!\n",
    "route:\n  receiver: ops\n  group_by: alertname #!\n",
    "route:\n  receiver: ops\n  group_by: [a, b, a] #!\n",
    "route:\n  receiver: ops\n  group_by: [a, ...] #!\n",
    "route:\n  receiver: ops\n  group_wait: 5 #!\n",
    "route:\n  receiver: ops\n  group_interval: 0s #!\n",
    "route:\n  receiver: ops\n  repeat_interval: 4 hours #!\n",
    "route:\n  receiver: ops\n  repeat_interval: 4h\n  repeat_interval_max: 2h #!\n",
    "route:\n  receiver: ops\n  timing: slow #!\n",
    "route: #!\n  group_by: [a]\n",
    "route: #!\n  receiver: ops\n  matchers: [a=b]\n",
    "route: #!\n  receiver: ops\n  continue: true\n",
    "route:\n  receiver: ops\n  routes:\n    - receiver: ops\n    - receiver: op #!\n",
    "route:\n  receiver: ops\n  routes:\n    - matchers:\n        - a=b\n        - a b #!\n",
    "route:\n  receiver: ops\n  routes:\n    - matchers: a=b #!\n",
    "route:\n  receiver: ops\n  routes:\n    - match_re:\n        a: b( #!\n",
    "route:\n  receiver: ops\n  routes:\n    - match: [a] #!\n",
    "route:\n  receiver: ops\n  routes:\n    - mute_time_intervals: [night] #!\n",
    // receivers
    "receivers: [] #!\n",
    "receivers: {ops: x} #!\n",
    "receivers:\n  - name: ops\n  - email_configs: [] #!\n",
    "receivers:\n  - name: ops\n  - name: ops #!\n",
    "receivers:\n  - name: ops\n    fallback: ups #!\n",
    "receivers:\n  - name: ops\n    fallback: ops #!\n",
    "receivers:\n  - name: ops\n    slack_configs: [{channel: x}] #!\n",
    "receivers:\n  - name: ops\n    email_config: [] #!\n",
    "receivers:\n  - name: ops\n    time_zone: Mars/Base #!\n",
    "receivers:\n  - name: ops\n    webhook_configs:\n      - send_resolved: true\n        url: x #!\n",
    "receivers:\n  - name: ops\n    wecom_configs:\n      - format: text\n        bot:\n          key: a b #!\n",
    // sources
    "sources: [prod] #!\n",
    "sources:\n  prod:\n    bearer_token: #!\n",
    "sources:\n  prod:\n    ignore_label: [a] #!\n",
    "sources:\n  prod:\n    ignore_labels: replica #!\n",
    "sources:\n  prod:\n    doubt: soon #!\n",
    "limits:\n  dead_letters: 0s #!\n",
    "sources:\n  prod:\n    rate_limit: 100/s #!\n",
    "sources:\n  prod:\n    rate_limit: {requests: 100} #!\n",
    "sources:\n  prod:\n    rate_limit: {requests: 0, per: 1s} #!\n",
    "sources:\n  prod:\n    rate_limit: {requests: 10, per: 2h} #!\n",
    "sources:\n  prod/sh: {} #!\n",
    "sources:\n  alert-router: {} #!\n",
    "sources:\n  test-button: {} #!\n",
    "sources:\n  prod:\n    formerly: [test-button] #!\n",
    "sources:\n  prod: {bearer_token: a, basic_auth: {username: u, password: p}} #!\n",
    "sources:\n  prod:\n    basic_auth: {username: u} #!\n",
    "sources:\n  a: {formerly: [default]}\n  b: {formerly: [default]} #!\n",
    "sources:\n  a:\n    formerly: [default, b] #!\n",
    "sources: #!\n  a: {formerly: [b]}\n  b: {}\n",
    // priority, limits
    "priority: severity=page #!\n",
    "priority:\n  - severity=~\"(\" #!\n",
    "limits: {body: 1} #!\n",
    "limits:\n  body_bytes: 1 #!\n",
    "limits:\n  history: forever #!\n",
    // YAML itself
    "global:\n  a: b\n c: d #!\n",
];

/// Entries of a receiver; each has one mistake.
const WRONG_CHANNELS: &[(&str, &str)] = &[
    ("email_configs", "{from: a@b.test, smarthost: h:25}"),
    ("email_configs", "{to: a, from: a@b.test, smarthost: h:25}"),
    ("email_configs", "{to: a@b.test, smarthost: h:25}"),
    ("email_configs", "{to: a@b.test, from: a@b.test}"),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_user: x}",
    ),
    (
        "email_configs",
        "{to: [a@b.test], from: a@b.test, smarthost: h:25}",
    ),
    (
        "email_configs",
        "{to: '{{ .x }}', from: a@b.test, smarthost: h:25}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_username: x}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_password: x}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_oauth2: {client_id: x, client_secret: hunter2, token_url: 'https://t.test/'}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_username: x, auth_password: hunter2, auth_oauth2: {client_id: x, client_secret: hunter2, token_url: 'https://t.test/'}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_username: x, auth_oauth2: {client_id: x, client_secret: hunter2, token_url: 'http://t.test/'}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_username: x, auth_oauth2: {client_id: x, client_secret: hunter2, token_url: 'https://u:hunter2@t.test/'}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, auth_username: x, auth_oauth2: {client_id: x, token_url: 'https://t.test/'}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, require_tls: false, auth_username: x, auth_password: hunter2}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, hello: localhost}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {Subject: x}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {X-A: \"a\\nb\"}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {Bcc: x@b.test}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {CC: x@b.test}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {to: x@b.test}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {Message-Id: x}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {Content-Type: text/html}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {\"X A\": x}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {\"X-A: b\\r\\nBcc\": x}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {X-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: a}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {X-A: \"a\\u202eb\"}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {X-A: '{{ .Status }}'}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {X-A: a, x-a: b}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {Reply-To: nobody}}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, headers: {Reply-To: x@b.test}, reply_to: y@b.test}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, bcc: nobody}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, bcc: 'c@b.test, Me <A@b.test>'}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, account_limits: 30}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, account_limits: [{mails: 0, per: 1m}]}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, account_limits: [{mails: 5}]}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, account_limits: [{mails: 5, per: 60}]}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, account_limits: [{mails: 5, per: 8d}]}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, html: x}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, thread: week}",
    ),
    (
        "email_configs",
        "{to: a@b.test, from: a@b.test, smarthost: h:25, tls_config: {insecure_skip_verify: true}}",
    ),
    ("wecom_configs", "{}"),
    ("wecom_configs", "{bot: {key: a}, app: {corp_id: x}}"),
    ("wecom_configs", "{format: text, mention: [a]}"),
    ("wecom_configs", "{bot: {}}"),
    ("wecom_configs", "{bot: {key: a, webhook_url: b}}"),
    ("wecom_configs", "{bot: {key: 'hunter2 hunter2'}}"),
    (
        "wecom_configs",
        "{bot: {key: 'https://q.test/cgi-bin/webhook/send?key=hunter2'}}",
    ),
    (
        "wecom_configs",
        "{bot: {webhook_url: 'https://q.test/cgi-bin/webhook/send?k=hunter2'}}",
    ),
    (
        "wecom_configs",
        "{bot: {webhook_url: 'https://q.test/robot/send?key=hunter2'}}",
    ),
    (
        "wecom_configs",
        "{bot: {key: a, api_url: 'q.test/cgi-bin'}}",
    ),
    ("wecom_configs", "{bot: {key: a}, format: html}"),
    ("wecom_configs", "{bot: {key: a}, mention: wangqing}"),
    (
        "wecom_configs",
        "{bot: {key: a}, mention_when: [{mention: [b]}]}",
    ),
    (
        "wecom_configs",
        "{bot: {key: a}, mention_when: [{matchers: [severity=critical]}]}",
    ),
    (
        "wecom_configs",
        "{bot: {key: a}, mention_when: [{matchers: ['x=~('], mention: [b]}]}",
    ),
    (
        "wecom_configs",
        "{bot: {key: a}, proxy_url: 'socks9://p.test'}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: a, to_user: u}}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: 1}}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: 1, to_user: 'a,b'}}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: 1, to_user: '@all|a'}}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, agent_id: 1, to_user: a}}",
    ),
    (
        "wecom_configs",
        "{app: {secret: s, agent_id: 1, to_user: a}}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: 1, to_user: a}, format: markdown_v2}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: 1, to_user: a}, mention: [a]}",
    ),
    (
        "wecom_configs",
        "{app: {corp_id: c, secret: s, agent_id: 1, to_user: a}, mention_when: [{matchers: [a=b], mention: [a]}]}",
    ),
    (
        "wechat_configs",
        "{corp_id: c, api_secret: s, agent_id: 1, to_user: a, message: x}",
    ),
    ("webhook_configs", "{}"),
    ("webhook_configs", "{url: a, url_file: b}"),
    ("webhook_configs", "{url: 'file:///etc/hunter2'}"),
    ("webhook_configs", "{url: 'https://a.test', timeout: 0s}"),
    ("webhook_configs", "{url: 'https://a.test', max_alerts: -1}"),
    (
        "webhook_configs",
        "{url: 'https://a.test', http_config: {oauth2: {}}}",
    ),
    (
        "webhook_configs",
        "{url: 'https://a.test', http_config: {bearer_token: a, basic_auth: {username: u, password: p}}}",
    ),
    (
        "webhook_configs",
        "{url: 'https://a.test', http_config: {authorization: {type: Digest, credentials: a}}}",
    ),
    (
        "webhook_configs",
        "{url: 'https://a.test', send_resolved: 1}",
    ),
    (
        "webhook_configs",
        "{url: 'https://a.test', send_resolved: false, separate_resolved: true}",
    ),
    ("inbox_configs", "{name: x}"),
];

#[test]
fn every_mistake_is_reported_at_its_line_with_the_fix() {
    let mut said = String::new();
    for text in WRONG {
        let marked = text.lines().position(|line| line.ends_with("#!")).unwrap() + 1;
        let error = parse(&complete(text)).expect_err(text);
        assert_eq!(error.problems.len(), 1, "{text}\n{error}");
        assert_eq!(error.problems[0].line, marked, "{text}\n{error}");
        said.push_str(&format!("{text}  {}\n\n", error.problems[0]));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn every_mistake_of_a_channel_is_reported_once_and_shows_no_secret() {
    let mut said = String::new();
    for (kind, entry) in WRONG_CHANNELS {
        let error = channel(kind, entry).expect_err(entry);
        assert_eq!(error.problems.len(), 1, "{entry}\n{error}");
        assert_eq!(error.problems[0].line, 3, "{entry}\n{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        said.push_str(&format!("{kind}: {entry}\n  {}\n", error.problems[0]));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_text_that_is_no_single_document_says_which_way_out() {
    let fix = |text: &str| parse(text).unwrap_err().problems.remove(0).fix;
    for empty in ["", "# nothing\n", "\u{feff}", "---\n"] {
        assert!(fix(empty).contains("write at least route"), "{empty:?}");
    }
    let whole = complete("");
    assert!(fix(&format!("{whole}\n---\n{whole}")).starts_with("keep one"));
    parse(&format!("\u{feff}{whole}")).unwrap();
}

#[test]
fn a_file_without_end_is_refused_before_memory_is_full() {
    let error = Config::load(Path::new("/dev/zero"), &Flags::default()).unwrap_err();
    assert!(error.to_string().contains("larger than 4 MiB"), "{error}");
}

#[test]
fn all_problems_are_reported_together_in_the_order_of_the_file() {
    let text = "listen: here\n\
        route: {receiver: nobody, group_wait: 5}\n\
        receivers:\n\
        - name: a\n  fallback: b\n\
        - name: b\n  fallback: c\n\
        - name: c\n  fallback: b\n  emails: []\n";
    insta::assert_snapshot!(parse(text).unwrap_err().to_string());
}

#[test]
fn a_circle_of_fallbacks_is_reported_at_each_receiver_in_it() {
    let text = "receivers:\n\
        - {name: ops, fallback: b}\n\
        - {name: b, fallback: c}\n\
        - {name: c, fallback: b}\n";
    let error = parse(&complete(text)).unwrap_err();
    let lines: Vec<usize> = error.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [3, 4]);
    assert!(error.problems[0].what.contains("b → c → b"), "{error}");
}

#[test]
fn an_open_door_is_refused_unless_asked_for() {
    let open = |listen: &str, auth: &str, open| {
        let text = complete(&format!("listen: {listen}\n{auth}"));
        let flags = Flags {
            open,
            ..Flags::default()
        };
        parse_with(&text, &flags, &[]).is_ok()
    };
    assert!(open("127.0.0.1:9095", "", false));
    assert!(open("\"[::1]:9095\"", "", false));
    assert!(open("localhost:9095", "", false));
    assert!(!open("0.0.0.0:9095", "", false));
    assert!(!open("\":9095\"", "", false));
    assert!(open("0.0.0.0:9095", "auth: {bearer_token: x}", false));
    assert!(open("0.0.0.0:9095", "", true));
    let error = parse(&complete("# 1\n# 2\nlisten: 0.0.0.0:9095")).unwrap_err();
    assert_eq!(error.problems[0].line, 3);
    let flags = Flags {
        listen: Some(([0, 0, 0, 0], 80).into()),
        ..Flags::default()
    };
    insta::assert_snapshot!(Config::default_inbox(&flags).unwrap_err().to_string());
}
