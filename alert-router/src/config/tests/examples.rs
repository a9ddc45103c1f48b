//! What a correct file means.

use alert_engine::Labels;

use super::*;

#[test]
fn the_reference_in_the_readme_is_a_config_without_a_warning() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```\n").unwrap();
    let names = [
        "token",
        "smtp-password",
        "bot-key",
        "app-secret",
        "token-prod-sh",
    ];
    let paths: Vec<String> = names.iter().map(|name| format!("/etc/ar/{name}")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "0123")).collect();
    let config = parse_with(text, &Flags::default(), &files).unwrap_or_else(|e| panic!("{e}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    // Where it says "default", it is the default.
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.priority, [urgent()]);
}

pub(super) const FULL: &str = include_str!("../../../testdata/config/full.yaml");

const FILES: &[(&str, &str)] = &[
    ("/run/secrets/smtp", "s3cret-smtp\n"),
    (
        "/run/secrets/bot",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=s3cret-bot\n",
    ),
    ("/etc/ar/intake-token", "s3cret-intake"),
    ("/etc/ar/ca.pem", "-----BEGIN CERTIFICATE-----"),
];

fn email(channel: Channel) -> Email {
    let Channel::Email(mail) = channel else {
        panic!("{channel}");
    };
    mail
}

fn robot(channel: Channel) -> WecomBot {
    let Channel::WecomBot(bot) = channel else {
        panic!("{channel}");
    };
    bot
}

#[test]
fn a_file_with_everything_is_read_and_prints_no_secret() {
    let config = parse_with(FULL, &Flags::default(), FILES).unwrap_or_else(|e| panic!("{e}"));
    let shown = format!("{config:#?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("from-env"),
        "{shown}"
    );
    // The tree has snapshots of its own, and the zone prints differently where it is linked.
    let receivers = format!("{:#?}\n{:#?}", config.receivers, config.sources);
    let receivers: Vec<&str> = receivers
        .lines()
        .filter(|line| !line.contains("TZif"))
        .collect();
    insta::assert_snapshot!(receivers.join("\n"));
}

#[test]
fn secrets_come_from_the_text_the_environment_or_a_file() {
    let config = parse_with(FULL, &Flags::default(), FILES).unwrap();
    let password =
        |receiver: &str| match &config.receiver(receiver).unwrap().integrations[0].channel {
            Channel::Email(email) => match email.auth.clone().unwrap().proof {
                SmtpProof::Password(password) => password.expose().to_owned(),
                SmtpProof::OAuth2(_) => panic!("no file asks for tokens"),
            },
            Channel::WecomBot(bot) => bot.key.expose().to_owned(),
            Channel::WecomApp(app) => app.secret.expose().to_owned(),
            Channel::Webhook(hook) => hook.url.expose().to_string(),
            Channel::Inbox => String::new(),
        };
    assert_eq!(password("db-team"), "s3cret-smtp");
    assert_eq!(password("night"), "x${y}from-env");
    assert_eq!(password("room"), "s3cret-bot");
    assert_eq!(password("members"), "s3cret-corp");
}

#[test]
fn what_upstream_wrote_is_routed_as_upstream_does() {
    for text in [
        include_str!("../../../testdata/alertmanager-0.34/alertmanager.yml"),
        include_str!("../../../testdata/alertmanager-0.25/alertmanager.yml"),
    ] {
        let config = parse(text).unwrap_or_else(|e| panic!("{e}"));
        for (labels, receiver, groups) in [
            ("team=trunc a=b", "truncated", "team=trunc"),
            ("team=all a=b", "every-alert", "a=b team=all"),
            ("team=none a=b", "one-group", ""),
            (
                "alertname=X cluster=c a=b",
                "default",
                "alertname=X cluster=c",
            ),
        ] {
            let labels: Labels = labels
                .split(' ')
                .filter_map(|p| p.split_once('='))
                .collect();
            let groups: Labels = groups
                .split(' ')
                .filter_map(|p| p.split_once('='))
                .collect();
            let found = config.routes.find(&labels);
            assert_eq!(found.len(), 1);
            assert_eq!(&*found[0].receiver, receiver);
            assert_eq!(found[0].group_labels(&labels), groups, "{receiver}");
        }
    }
}

#[test]
fn mail_settings_are_inherited_and_tls_follows_the_port() {
    let mail = |globals: &str, entry: &str| {
        let text = format!(
            "global: {{smtp_from: a@b.test, {globals}}}\n\
             receivers: [{{name: ops, email_configs: [{{to: x@y.test, {entry}}}]}}]"
        );
        let mut config = parse(&complete(&text)).unwrap_or_else(|e| panic!("{e}"));
        email(config.receivers.remove(0).integrations.remove(0).channel)
    };
    for (globals, entry, tls, place) in [
        (
            "smtp_smarthost: 'h.test:465'",
            "",
            SmtpTls::Implicit,
            "h.test:465",
        ),
        (
            "smtp_smarthost: 'h.test:587'",
            "",
            SmtpTls::StartTls,
            "h.test:587",
        ),
        (
            "smtp_smarthost: h.test",
            "",
            SmtpTls::StartTls,
            "h.test:587",
        ),
        (
            "smtp_smarthost: h.test",
            "force_implicit_tls: true",
            SmtpTls::Implicit,
            "h.test:465",
        ),
        (
            "smtp_smarthost: 'h.test:465'",
            "force_implicit_tls: false",
            SmtpTls::StartTls,
            "h.test:465",
        ),
        (
            "smtp_smarthost: 'h.test:25', smtp_require_tls: false",
            "",
            SmtpTls::Plain,
            "h.test:25",
        ),
        (
            "smtp_smarthost: 'h.test:25'",
            "smarthost: '[::1]:2525', require_tls: false",
            SmtpTls::Plain,
            "[::1]:2525",
        ),
    ] {
        let mail = mail(globals, entry);
        assert_eq!(
            (mail.tls, mail.smarthost.to_string().as_str()),
            (tls, place),
            "{globals} {entry}"
        );
        assert_eq!(mail.from.email.to_string(), "a@b.test");
        assert_eq!(mail.id_domain, "b.test");
    }
}

#[test]
fn a_robot_is_named_by_its_address_or_its_key() {
    for (bot, base) in [
        ("{key: abc}", WECOM_API),
        (
            "{webhook_url: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc'}",
            WECOM_API,
        ),
        (
            "{webhook_url: 'http://127.0.0.1:8080/cgi-bin/webhook/send?key=abc&debug=1'}",
            "http://127.0.0.1:8080/cgi-bin/",
        ),
        (
            "{key: abc, api_url: 'http://127.0.0.1:8080/cgi-bin'}",
            "http://127.0.0.1:8080/cgi-bin/",
        ),
        (
            "{key: abc, api_url: 'http://127.0.0.1:8080/cgi-bin/'}",
            "http://127.0.0.1:8080/cgi-bin/",
        ),
        (
            "{webhook_url: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc', api_url: 'http://proxy.test/wecom/cgi-bin'}",
            "http://proxy.test/wecom/cgi-bin/",
        ),
    ] {
        let read = channel("wecom_configs", &format!("{{bot: {bot}}}"));
        let read = robot(read.unwrap_or_else(|e| panic!("{e}")));
        let place = (read.key.expose(), read.api_url.as_str());
        assert_eq!(place, ("abc", base), "{bot}");
    }
}

#[test]
fn a_base_without_cgi_bin_is_a_warning() {
    let warned = |base: &str| {
        let text = format!(
            "receivers: [{{name: ops, wecom_configs: [{{bot: {{key: k, api_url: '{base}'}}}}]}}]"
        );
        let config = parse(&complete(&text)).unwrap_or_else(|e| panic!("{e}"));
        config.warnings.len()
    };
    assert_eq!(warned("https://proxy.test/cgi-bin"), 0);
    assert_eq!(warned("https://proxy.test/"), 1);
    assert_eq!(
        warned("http://proxy.test/cgi-bin"),
        1,
        "the key is readable"
    );
    assert_eq!(warned("http://127.0.0.1:9096/cgi-bin/"), 0);
}

#[test]
fn a_robots_address_without_tls_is_a_warning() {
    let warned = |scheme: &str| {
        let url = format!("{scheme}://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k3y");
        let text = format!(
            "receivers: [{{name: ops, wecom_configs: [{{bot: {{webhook_url: '{url}'}}}}]}}]"
        );
        let warnings = parse(&complete(&text)).unwrap().warnings;
        assert!(!format!("{warnings:?}").contains("k3y"));
        warnings.len()
    };
    assert_eq!((warned("http"), warned("https")), (1, 0));
}

#[test]
fn an_author_that_the_relay_refuses_is_a_warning() {
    let warned = |host: &str, from: &str| {
        let text = format!(
            "receivers: [{{name: ops, email_configs: [{{to: x@y.test, from: {from}, smarthost: '{host}:465', auth_username: me@qq.com, auth_password: p}}]}}]"
        );
        parse(&complete(&text))
            .unwrap_or_else(|e| panic!("{e}"))
            .warnings
            .len()
    };
    assert_eq!(warned("smtp.qq.com", "other@qq.com"), 1);
    assert_eq!(warned("smtp.163.com", "other@163.com"), 1);
    assert_eq!(warned("smtp.qq.com", "Me@qq.com"), 0);
    assert_eq!(warned("smtp.example.com", "other@qq.com"), 0);
}

#[test]
fn answers_go_where_the_key_or_the_header_says_and_copies_to_whom_bcc_names() {
    let mail = |entry: &str| {
        let text = format!(
            "receivers: [{{name: ops, email_configs: [{{to: a@x.test, from: b@x.test, smarthost: h.test, {entry}}}]}}]"
        );
        let mut config = parse(&complete(&text)).unwrap_or_else(|e| panic!("{e}"));
        email(config.receivers.remove(0).integrations.remove(0).channel)
    };
    let key = mail("reply_to: SRE <c@x.test>");
    let header = mail("headers: {reply-to: SRE <c@x.test>, X-A: 一}");
    assert_eq!(key.reply_to, header.reply_to);
    assert_eq!(key.reply_to.unwrap().to_string(), "SRE <c@x.test>");
    assert_eq!(header.headers.len(), 1);
    assert_eq!(header.headers[0].value(), "一");
    let copies = mail("bcc: 'd@x.test, Eve <e@x.test>, D@x.test'").bcc;
    let copies: Vec<_> = copies.iter().map(|to| to.email.to_string()).collect();
    assert_eq!(copies, ["d@x.test", "e@x.test"]);
}

#[test]
fn the_command_line_wins_and_defaults_fill_the_rest() {
    let flags = Flags {
        listen: Some(([127, 0, 0, 1], 1).into()),
        store: Some(StorePlace::Memory),
        open: false,
    };
    let text = complete("listen: 127.0.0.1:2\nstore: sqlite:x.db");
    let config = parse_with(&text, &flags, &[]).unwrap();
    assert_eq!(
        (config.listen, config.store),
        (([127, 0, 0, 1], 1).into(), StorePlace::Memory)
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.store, StorePlace::Sqlite("/etc/ar/x.db".into()));
    assert_eq!(config.listen.port(), 2);
    let config = parse(&complete("")).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9095");
    assert_eq!(
        config.store,
        StorePlace::Sqlite("data/alert-router.db".into())
    );
}

#[test]
fn without_a_file_an_inbox_hears_everything_soon() {
    let config = Config::default_inbox(&Flags::default()).unwrap();
    let labels: Labels = [("alertname", "A"), ("instance", "i")]
        .into_iter()
        .collect();
    let found = config.routes.find(&labels);
    assert_eq!(&*found[0].receiver, "inbox");
    assert_eq!(found[0].timers.group_wait, Some(Duration::from_secs(1)));
    assert_eq!(found[0].timers.group_interval, Duration::from_secs(10));
    assert_eq!(config.receivers[0].integrations[0].channel, Channel::Inbox);
}

#[test]
fn a_source_without_its_own_credential_asks_for_the_common_one() {
    let text =
        complete("auth: {bearer_token: all}\nsources: {prod: {bearer_token: own}, test: {}}");
    let config = parse(&text).unwrap();
    for (source, token) in [("prod", "own"), ("test", "all"), ("unlisted", "all")] {
        let expected = Credential::Bearer(Secret::new(token));
        assert_eq!(config.credential(&SourceName::new(source)), Some(&expected));
    }
}

#[test]
fn anchors_and_merges_are_read() {
    let text = "x: 1\nreceivers: []";
    assert!(
        parse(text).is_err(),
        "an unknown key is no place for anchors"
    );
    let text = "receivers:\n\
        - name: ops\n  email_configs:\n  - &mail {to: a@x.test, from: b@x.test, smarthost: h.test}\n\
        - name: other\n  email_configs:\n  - {<<: *mail, to: c@x.test}\n";
    let config = parse(&complete(text)).unwrap_or_else(|e| panic!("{e}"));
    let mail = email(config.receivers[1].integrations[0].channel.clone());
    assert_eq!(mail.to[0].to_string(), "c@x.test");
}

#[test]
fn a_reload_says_what_it_changes_and_what_waits_for_a_restart() {
    let old = parse_with(FULL, &Flags::default(), FILES).unwrap();
    let text = FULL
        .replace("name: night", "name: late")
        .replace("receiver: night", "receiver: late")
        .replace("group_wait: 10s", "group_wait: 20s")
        .replace("to: ops@example.com", "to: team@example.com")
        .replace("doubt: 1m", "doubt: 2m")
        .replace("listen: 0.0.0.0:9095", "listen: 0.0.0.0:9096");
    let new = parse_with(&text, &Flags::default(), FILES).unwrap_or_else(|e| panic!("{e}"));
    let changes = Changes::between(&old, &new);
    assert_eq!(
        changes.applied,
        [
            "routes",
            "receiver late added",
            "receiver night removed",
            "receiver ops-mail changed",
            "source prod-sh changed",
        ]
    );
    assert_eq!(changes.after_restart, ["listen"]);
    assert!(Changes::between(&old, &old).is_empty());
    assert_eq!(
        old.routes.hash(),
        parse_with(FULL, &Flags::default(), FILES)
            .unwrap()
            .routes
            .hash()
    );
}
