//! `gettoken`, and the life of what it gives.

use super::*;
use crate::config::TokenMode;
use crate::world::ErrCode;

#[test]
fn a_token_is_given_for_a_corp_and_its_secret() {
    let cases = [
        ("", "sim-secret", 41002),
        ("sim-corp", "", 41004),
        ("who", "sim-secret", 40013),
        ("sim-corp", "wrong", 40001),
        ("sim-corp", "sim-secret", 0),
    ];
    for (corp, secret, expected) in cases {
        let answer = Bench::new().get_token(corp, secret);
        assert_eq!(code(&answer), expected, "{corp}/{secret}");
        assert_eq!(answer["access_token"].is_string(), expected == 0);
    }
    assert_eq!(
        Bench::new().get_token("sim-corp", "sim-secret")["expires_in"],
        7200
    );
}

/// The answer to a message with this token.
fn send(bench: &mut Bench, token: &str) -> i64 {
    code(&bench.app_with(token, &to("wangqing", "a")))
}

#[test]
fn a_token_is_good_until_it_expires_or_is_revoked() {
    let mut bench = Bench::new();
    let token = bench.token();
    assert_eq!(send(&mut bench, ""), 41001);
    assert_eq!(send(&mut bench, "garbled"), 40014);
    assert_eq!(send(&mut bench, &token), 0);
    bench.pass(Duration::from_secs(7199));
    assert_eq!(send(&mut bench, &token), 0);
    bench.pass(Duration::from_secs(1));
    assert_eq!(send(&mut bench, &token), 42001);
    let token = bench.token();
    bench.world.apps.revoke_tokens();
    assert_eq!(send(&mut bench, &token), 40014);
    let mut bench = Bench::rules(|rules| rules.revoked_code = ErrCode::TOKEN_EXPIRED);
    let token = bench.token();
    bench.world.apps.revoke_tokens();
    assert_eq!(send(&mut bench, &token), 42001);
}

#[test]
fn what_a_second_token_does_to_the_first_is_a_switch() {
    for (mode, is_same, first_lives) in [
        (TokenMode::Fresh, false, true),
        (TokenMode::Same, true, true),
        (TokenMode::Evicting, false, false),
    ] {
        let mut bench = Bench::rules(|rules| rules.token_mode = mode);
        let first = bench.token();
        bench.pass(Duration::from_secs(100));
        let answer = bench.get_token("sim-corp", "sim-secret");
        let second = answer["access_token"].as_str().unwrap().to_owned();
        assert_eq!(first == second, is_same, "{mode:?}");
        assert_eq!(
            answer["expires_in"],
            if is_same { 7100 } else { 7200 },
            "{mode:?}"
        );
        assert_eq!(send(&mut bench, &first) == 0, first_lives, "{mode:?}");
        assert_eq!(send(&mut bench, &second), 0, "{mode:?}");
    }
}

#[test]
fn a_token_of_another_application_does_not_work() {
    let mut bench = Bench::new();
    let token = bench.token_of("other-secret");
    assert_eq!(send(&mut bench, &token), 301_002);
}

#[test]
fn wrong_secrets_ban_the_address_for_an_hour() {
    let mut bench = Bench::new();
    for n in 0..20 {
        assert_eq!(code(&bench.get_token("sim-corp", "wrong")), 40001, "{n}");
    }
    assert_eq!(code(&bench.get_token("sim-corp", "sim-secret")), 45009);
    bench.peer = IpAddr::from([203, 0, 113, 8]);
    assert_eq!(code(&bench.get_token("sim-corp", "sim-secret")), 0);
    bench.peer = PEER;
    bench.pass(Duration::from_secs(3600));
    assert_eq!(code(&bench.get_token("sim-corp", "sim-secret")), 0);
}

#[test]
fn a_client_that_does_not_cache_tokens_meets_the_limit() {
    let mut bench = Bench::rules(|rules| rules.gettoken_per_minute = Some(2));
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(code(&bench.get_token("sim-corp", "sim-secret")));
    }
    assert_eq!(codes, [0, 0, 45009]);
    bench.pass(Duration::from_secs(60));
    assert_eq!(code(&bench.get_token("sim-corp", "sim-secret")), 0);
}
